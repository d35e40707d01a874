"""AAL on built-in data in one page: random labels on random images, their views as queries (Antoniou, Storkey 2019, arXiv:1902.09884)."""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
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

# 1. Tasks: 20 labels, each given to 5 images at random. The images are the support, a view of each is a query.
tasks = InstanceTasks(Pool(images), n_way=20, augment=VIEWS["drawings"], k_shot=5, n_query=5, n_each=5, clean_support=True)

# 2. Practice. A label says nothing, so all that can be learned is what views leave as it was.
procedure = meta_train(
    ProtoNets(Conv4Config(1, 28, downsample="stem")), tasks, meta_batch_size=1, pace=Pace(seconds=40), rng=rng.fork("meta")
)

# 3. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
    print(f"5-way {k_shot}-shot: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
