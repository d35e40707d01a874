"""CACTUs on DeepCluster in one page, beside the embedding without practice (Caron et al. 2018, arXiv:1807.05520; Hsu et al. 2019).

CACTUs' main claim is that practice on clusters of an embedding beats every use of that embedding without practice; here, nearest neighbor.
On these glyphs it does not hold: they are so easy that nearest neighbor has 98.5 % (5-way 1-shot) after half a minute of DeepCluster, and
40 seconds of practice come to 96.3. Where it holds, and where not, on Omniglot and MNIST: docs/methods.md.
"""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.augment import VIEWS
from umeta.images.embed.deepcluster import DeepCluster
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.training import fit
from umeta.images.episode import Pool
from umeta.images.learners.baselines import EmbeddedProcedure, NearestNeighbor
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.partition import Partitions
from umeta.images.reading import read_stacked
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. An embedding learned without labels: cluster what a network sees, train it to name the clusters, and again.
deepcluster = DeepCluster()
encoder = deepcluster.encoder(fit(deepcluster, images, Pace(seconds=30), rng.fork("embedding")), images)
embedding = embed_all(encoder, images)

# 2. Clusters of it stand in for classes, under several metrics; tasks show views of their images.
labels = KMeansPartitioner(k=300, n_partitions=5).fit(embedding, rng.fork("partition"), min_size=6)
tasks = PartitionTasks(Pool(images), Partitions.from_labels(labels, 6), n_way=20, k_shot=1, n_query=5, augment=VIEWS["affine"])

# 3. Practice.
learner = ProtoNets(Conv4Config(1, 28, downsample="stem"), n_splits=8)
procedure = meta_train(learner, tasks, meta_batch_size=2, pace=Pace(seconds=40), rng=rng.fork("meta"))

# 4. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    for name, one in {"nearest neighbor": EmbeddedProcedure(encoder, NearestNeighbor()), "practiced": procedure}.items():
        mean, ci95 = evaluate(one, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
        print(f"5-way {k_shot}-shot, {name}: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
