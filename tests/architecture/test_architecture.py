"""Rules about the code as a whole: one direction of imports, no pickle, no global randomness, no print, shapes checked."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

import umeta
from umeta.core.rng import Rng
from umeta.functional.prototypes import prototypes
from umeta.images.embed.acai import Acai
from umeta.images.embed.bigan import Bigan
from umeta.images.embed.deepcluster import DeepCluster
from umeta.images.embed.encoder import to_float
from umeta.images.embed.infogan import Infogan
from umeta.images.learners.maml import Maml
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import BatchNorm, Conv4, Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner

ROOT = Path(__file__).parents[2]
SOURCE = Path(umeta.__file__).parent
BANNED_IMPORTS = {"pickle", "joblib", "dill", "cloudpickle", "random", "torchvision", "shelve", "marshal"}
BANNED_CALLS = {"print", "eval", "exec", "torch.load", "torch.save", "torch.manual_seed", "torch.seed", "pickle.load", "pickle.loads"}
NUMPY_RANDOM = {"Generator", "Philox"}
# The published order of a split, seeded where it stands.
PUBLISHED = {"benchmarks/omniglot.py": ("np.random.RandomState",)}
TORCH_RANDOM = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like", "poisson"}
IN_PLACE_RANDOM = {"normal_", "uniform_", "bernoulli_", "random_", "exponential_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
                   "kaiming_normal_", "trunc_normal_", "orthogonal_"}  # fmt: skip
ALWAYS_GLOBAL = {
    "F.dropout",
    "F.dropout2d",
    "nn.Dropout",
    "nn.Dropout2d",
    "DataLoader",
    "torch.utils.data.DataLoader",
    "rand_like",
    "randn_like",
}


def imports_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenses(text, inside=""):
    """Yield what a module does that no module of umeta may do."""
    tree = ast.parse(text)
    for name in imports_of(tree):
        if name.split(".")[0] in BANNED_IMPORTS:
            yield f"imports {name}"
        if inside.startswith(("images", "control")) and name.startswith(("umeta.benchmarks", "umeta.recipes", "umeta.cli")):
            yield f"imports {name} into {inside}"
    for node in ast.walk(tree):
        of_numpy = isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random")
        if of_numpy and node.attr not in NUMPY_RANDOM and ast.unparse(node) not in PUBLISHED.get(inside, ()):
            yield f"uses {ast.unparse(node)}"
        if not isinstance(node, ast.Call):
            continue
        name, last = ast.unparse(node.func), ast.unparse(node.func).split(".")[-1]
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        random = name in {f"torch.{word}" for word in TORCH_RANDOM} or (last in IN_PLACE_RANDOM and isinstance(node.func, ast.Attribute))
        if name in BANNED_CALLS or name in ALWAYS_GLOBAL:
            yield f"calls {name}"
        if random and "generator" not in keywords:
            yield f"calls {name} without a generator"
        if name in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False":
            yield "calls np.load with allow_pickle"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_does_what_none_may(path):
    assert list(offenses(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from random import choice",
        "print(1)",
        "torch.load(path)",
        "torch.manual_seed(0)",
        "np.random.seed(0)",
        "x = np.random.rand(3)",
        "np.random.default_rng()",
        "torch.rand(3)",
        "torch.randperm(4)",
        "weight.normal_(0, 1)",
        "nn.init.xavier_uniform_(weight)",
        "nn.Dropout(0.5)",
        "np.load(path, allow_pickle=True)",
        "from umeta.benchmarks.omniglot import Omniglot",
        "from umeta import benchmarks; import umeta.benchmarks.oracle",
    ],
)
def test_each_offense_is_seen(text):
    assert list(offenses(text, "images/x.py"))


@pytest.mark.parametrize(
    "text", ["torch.rand(3, generator=g)", "np.random.Generator(x)", "np.load(path, allow_pickle=False)", "run.print(1)"]
)
def test_what_is_allowed_passes(text):
    assert list(offenses(text, "images/x.py")) == []


def test_imports_point_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout


def test_umeta_images_loads_without_benchmarks():
    code = (
        "import sys, umeta.testing, umeta.images.procedure, umeta.images.learners.baselines, umeta.images.tasks.partition_tasks;"
        "sys.exit([name for name in sys.modules if name.startswith(('umeta.benchmarks', 'umeta.recipes', 'umeta.cli'))] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_shapes_and_dtypes_are_checked_at_run_time_in_every_layer():
    with pytest.raises(TypeCheckError, match="labels"):
        prototypes(torch.zeros(3, 2), torch.zeros(4, dtype=torch.long), 2)
    with pytest.raises(TypeCheckError, match="labels"):
        prototypes(torch.zeros(3, 2), torch.zeros(3), 2)
    with pytest.raises(TypeCheckError, match="images"):
        BatchNorm(2, stored=False)(torch.zeros(3, 2))
    with pytest.raises(TypeCheckError, match="images"):
        to_float(torch.zeros(1, 1, 2, 2))
    with pytest.raises(TypeCheckError, match="embedding"):
        KMeansPartitioner(k=2).fit(torch.zeros(5), Rng.from_seed(0), min_size=1)


def test_learning_touches_no_global_generator(tiny_tasks, rng):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    batch = tiny_tasks.sample_batch(rng, 2)
    for learner in (ProtoNets(Conv4Config(1, 28, 4), n_splits=2), Maml(Conv4Config(1, 28, 4, "stride", stored=False), n_way=5)):
        state, _ = learner.step(learner.init(rng), batch, rng)
        procedure = learner.export(state)
        type(procedure).restore(procedure.describe(), procedure.tensors()).adapt(batch[0].support, rng)
    for embedder in (Acai(depth=2, latent=2), Bigan(width=2), Infogan(width=2), DeepCluster()):
        embedder.step(embedder.init(tiny_tasks.pool.images, rng), tiny_tasks.pool.images, 0, rng)
    KMeansPartitioner(k=3, n_partitions=2).fit(torch.rand(30, 4, generator=rng.torch()), rng, min_size=1)
    Conv4(Conv4Config(1, 28, 4), rng.torch())
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
