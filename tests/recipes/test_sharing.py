"""Two processes that share a run end where one does, also where one began and two go on."""

import multiprocessing
import socket
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.parallel import Team, started
from umeta.core.rng import Rng
from umeta.recipes.learn import learn
from umeta.recipes.recipe import get_recipe
from umeta.recipes.request import resolve
from umeta.recipes.sharing import check_shared

N_STEPS, SIDE, N_KINDS, PATIENCE_S = 3, 12, 16, 300


def asked(source):
    tiny = replace(get_recipe("cactus-maml"), embedding="contrast", n_clusters=8, n_partitions=1, width=4, n_way=4, n_query=3, meta_batch_size=2)
    return resolve(str(source), tiny, steps=N_STEPS)


def join(rank, port, request, out):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            patch.setenv(name, str(value))
        with started() as team:
            learn(request, out, resume=True, team=team)


def test_two_processes_go_on_with_the_run_of_one_and_end_at_its_parameters(tmp_path):
    generator = Rng.from_seed(0).numpy()
    kinds = generator.integers(200, size=(N_KINDS, SIDE, SIDE))
    images = (kinds.repeat(12, 0) + generator.integers(40, size=(12 * N_KINDS, SIDE, SIDE))).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    request = asked(tmp_path / "images.npz")
    learn(request, tmp_path / "straight")
    steps = iter([False, False, False, True])
    with pytest.raises(InterruptedRunError):
        learn(request, tmp_path / "shared", stop=lambda: next(steps, True))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawning = multiprocessing.get_context("spawn")
    processes = [spawning.Process(target=join, args=(rank, port, request, tmp_path / "shared")) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
    assert [process.exitcode for process in processes] == [0, 0]
    straight, shared = (load_file(tmp_path / name / "procedure" / "tensors.safetensors") for name in ("straight", "shared"))
    assert straight.keys() == shared.keys()
    assert max(np.abs(straight[name] - shared[name]).max() for name in straight) < 1e-5


def test_runs_that_would_depend_on_the_number_of_processes_are_refused_with_a_remedy():
    team = Team(0, 2)
    check_shared(resolve("glyphs", "default", budget_s=60.0), Team())
    check_shared(resolve("glyphs", "cactus-maml", steps=5), team)
    with pytest.raises(InputError, match="default normalizes the tasks of a step together.*--recipe cactus-maml, or start one process"):
        check_shared(resolve("glyphs", "default", steps=5), team)
    with pytest.raises(InputError, match="2 processes have no common clock; give --steps instead of --budget"):
        check_shared(resolve("glyphs", "cactus-maml", budget_s=60.0), team)
    with pytest.raises(InputError, match="cannot be shared evenly by 3"):
        check_shared(resolve("glyphs", "cactus-maml", steps=5), Team(0, 3))
