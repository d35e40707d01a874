"""MAML and its relatives side by side on built-in data, on the same clusters: each changes one thing about the inner loop.

First order: Finn et al. 2017 (arXiv:1703.03400). ANIL: Raghu et al. 2020 (arXiv:1909.09157). Meta-SGD: Li et al. 2017 (arXiv:1707.09835).
ProtoMAML: Triantafillou et al. 2020 (arXiv:1903.03096).
"""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.augment import VIEWS
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.pixels import PixelsZca
from umeta.images.episode import Pool
from umeta.images.learners.adaptation import InnerLoop
from umeta.images.learners.maml import Maml
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.partition import Partitions
from umeta.images.reading import read_stacked
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. Clusters of pixels stand in for classes; 5 of them are a task.
embedding = embed_all(PixelsZca.fit(images, whiten=False), images)
labels = KMeansPartitioner(k=300, n_partitions=5).fit(embedding, rng.fork("partition"), min_size=6)
tasks = PartitionTasks(Pool(images), Partitions.from_labels(labels, 6), n_way=5, k_shot=1, n_query=5, augment=VIEWS["affine"])

# 2. The relatives. One network, one loss, one rate; MAML takes 5 gradient steps on all weights, and looks through them twice.
net = Conv4Config(1, 28, 32, "stride", stored=False, scale=False)
relatives = {
    "MAML": Maml(net, n_way=5, n_adapt_steps=10),
    "first order": Maml(net, n_way=5, inner=InnerLoop(first_order=True), n_adapt_steps=10),
    "ANIL": Maml(net, n_way=5, inner=InnerLoop(adapts="head"), n_adapt_steps=10),
    "Meta-SGD": Maml(net, n_way=5, n_adapt_steps=10, learn_rates=True),
    "ProtoMAML": Maml(net, n_way=5, inner=InnerLoop(head="prototypes"), n_adapt_steps=10),
}

# 3. Equal seconds of practice, then held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=1, n_query=5)
for name, learner in relatives.items():
    procedure = meta_train(learner, tasks, meta_batch_size=8, pace=Pace(seconds=12), rng=rng.fork("meta"))
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=100, rng=rng.fork("test")).summary()
    print(f"5-way 1-shot, {name}: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
