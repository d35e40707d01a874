"""CAMeLU on built-in data in one page: a transformer reads the support set, no gradient (Vettoruzzo et al. 2025, arXiv:2405.16124)."""

from dataclasses import replace

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.functional.prototypes import Metric
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.in_context import ContextLearner
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.mixtures import Mixtures
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. A network, as in instances.py: 256 images as classes, their views as examples. It is frozen from here on.
pool, views = Pool(images), VIEWS["drawings"]
tasks = InstanceTasks(pool, n_way=256, augment=views, n_turns=4)
net = Conv4Config(1, 28, downsample="stem", signed=True)
learner = ProtoNets(net, Metric("cosine", temperature=0.03), objective="pairs", lr=2e-3, average=0.99)
encoder = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(seconds=40), rng=rng.fork("encoder"))

# 2. Tasks with more shots, in which images of other classes shine through half of the queries; smaller ones are drawn from each.
mixtures = Mixtures(views, pool, n_image=8, k_shot=5, n_turns=4)
tasks = replace(tasks, n_way=64, k_shot=5, n_query=3, augment=mixtures)

# 3. Practice: the transformer moves each vector after it has read the whole support set.
procedure = meta_train(ContextLearner(encoder), tasks, meta_batch_size=1, pace=Pace(seconds=25), rng=rng.fork("head"))

# 4. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    for name, one in {"prototypes": encoder, "in context": procedure}.items():
        mean, ci95 = evaluate(one, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
        print(f"5-way {k_shot}-shot, {name}: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
