"""CACTUs on built-in data in one page: embed, cluster, make tasks, meta-learn, adapt (Hsu, Levine, Finn 2019, arXiv:1810.02334)."""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.embed.acai import Acai
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.training import fit
from umeta.images.episode import Pool
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

# 1. An embedding learned without labels.
acai = Acai()
encoder = acai.encoder(fit(acai, images, Pace(seconds=30), rng.fork("embedding")), images)
embedding = embed_all(encoder, images)

# 2. Clusters of it stand in for classes: once as it is, then under random diagonal metrics.
labels = KMeansPartitioner(k=300, n_partitions=5).fit(embedding, rng.fork("partition"), min_size=6)

# 3. Tasks: 20 clusters as classes, 1 image to learn from, 5 to be asked about.
tasks = PartitionTasks(Pool(images), Partitions.from_labels(labels, 6), n_way=20, k_shot=1, n_query=5)

# 4. Practice.
procedure = meta_train(ProtoNets(Conv4Config(1, 28)), tasks, meta_batch_size=2, pace=Pace(seconds=30), rng=rng.fork("meta"))

# 5. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
    print(f"5-way {k_shot}-shot: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
