"""ProtoTransfer on built-in data in one page: ProtoCLR, then ProtoTune (Medina, Devos, Grossglauser 2020, arXiv:2006.11325)."""

from dataclasses import replace

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.heads import Tuned
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. Tasks: 50 images as classes. The image itself is the one shot, 3 views of it are the queries.
tasks = InstanceTasks(Pool(images), n_way=50, augment=VIEWS["drawings"], n_query=3, clean_support=True)

# 2. Practice: ProtoCLR is Euclidean ProtoNets on them.
learner = ProtoNets(Conv4Config(1, 28, downsample="stem"))
procedure = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(seconds=50), rng=rng.fork("meta"))

# 3. Use: ProtoTune takes 15 gradient steps on a linear layer that starts as the prototypes.
procedures = {"prototypes": procedure, "tuned": replace(procedure, head=Tuned())}

# 4. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    for name, one in procedures.items():
        mean, ci95 = evaluate(one, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
        print(f"5-way {k_shot}-shot, {name}: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
