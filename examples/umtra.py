"""UMTRA on built-in data in one page: images as classes, their views as queries, MAML (Khodadadeh et al. 2019, arXiv:1811.11819)."""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.maml import Maml
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. Tasks: 5 images, each the one shot of a class of its own; 3 views of it are the queries.
tasks = InstanceTasks(Pool(images), n_way=5, augment=VIEWS["drawings"], n_query=3, clean_support=True)

# 2. Practice: second-order MAML. One network would serve 20 ways too, were it trained with as many outputs.
learner = Maml(Conv4Config(1, 28, 32, "stride", stored=False, scale=False), n_way=5, n_adapt_steps=10)
procedure = meta_train(learner, tasks, meta_batch_size=8, pace=Pace(seconds=40), rng=rng.fork("meta"))

# 3. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=100, rng=rng.fork("test")).summary()
    print(f"5-way {k_shot}-shot: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
