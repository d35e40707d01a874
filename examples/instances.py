"""Every image a class, on built-in data in one page: views as examples, ProtoNets by cosine (Medina et al. 2020, arXiv:2006.11325)."""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.functional.prototypes import Metric
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. Tasks: 256 images as classes, each in one of four orientations; one view to learn from, one to be asked about.
tasks = InstanceTasks(Pool(images), n_way=256, augment=VIEWS["drawings"], n_turns=4)

# 2. Practice in the metric that the procedure will compare in.
net = Conv4Config(1, 28, downsample="stem", signed=True)
learner = ProtoNets(net, Metric("cosine", temperature=0.03), objective="pairs", lr=2e-3, average=0.99)
procedure = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(seconds=60), rng=rng.fork("meta"))

# 3. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
    print(f"5-way {k_shot}-shot: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
