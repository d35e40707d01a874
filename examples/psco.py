"""PsCo on built-in data in one page: past images are the shots of a query's class (Jang, Lee, Shin 2023, arXiv:2303.00996)."""

from dataclasses import replace

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.heads import Prototypes
from umeta.images.learners.psco import PsCo
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. A batch: 256 images, each in one of four orientations; one view for a slow copy of the network, one for the network itself.
tasks = InstanceTasks(Pool(images), n_way=256, augment=VIEWS["drawings"], n_turns=4)

# 2. Practice. What the slow copy saw of past images waits in a queue, where optimal transport finds a shot for each class of the batch.
learner = PsCo(Conv4Config(1, 28, downsample="stem"), n_queue=4 * len(images), n_shots=1)
procedure = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(seconds=60), rng=rng.fork("meta"))

# 3. It ships its projector and predictor, which take many steps to agree; prototypes use the network below.
procedures = {"projected": procedure, "prototypes": replace(procedure, head=Prototypes(procedure.head.metric))}

# 4. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    for name, one in procedures.items():
        mean, ci95 = evaluate(one, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
        print(f"5-way {k_shot}-shot, {name}: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
