"""LASIUM on built-in data in one page: tasks of images that a VAE draws (Khodadadeh et al. 2021, arXiv:2006.10236)."""

from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.images.embed.training import fit
from umeta.images.embed.vae import Vae
from umeta.images.episode import Pool
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.reading import read_stacked
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.latents import LatentViews
from umeta.recipes.score import Measure

rng = Rng.from_seed(0)
glyphs = get_benchmark("glyphs")
images = read_stacked(glyphs.pool("scripts"), 28, 1)  # uint8 [n, 1, 28, 28]; there are no labels in it

# 1. A generative model of the images, learned without labels.
vae = Vae()
net = vae.encoder(fit(vae, images, Pace(seconds=25), rng.fork("vae")), images)

# 2. Tasks: 20 images as classes; every example is drawn anew from near the code of its image.
tasks = InstanceTasks(Pool(images), n_way=20, augment=LatentViews(net, "noise"), n_query=5)

# 3. Practice.
learner = ProtoNets(Conv4Config(1, 28, downsample="stem"))
procedure = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(seconds=25), rng=rng.fork("meta"))

# 4. Held-out scripts. Labels are read here, and only here.
held_out = glyphs.split("scripts", "meta_test")
for k_shot in (1, 5):
    test = labeled_tasks(held_out, Pool(held_out.images), n_way=5, k_shot=k_shot, n_query=5)
    mean, ci95 = evaluate(procedure, test, Measure(), n_tasks=300, rng=rng.fork("test")).summary()
    print(f"5-way {k_shot}-shot: {100 * mean:.1f} ±{100 * ci95:.1f} % ({len(images)} unlabeled images)")
