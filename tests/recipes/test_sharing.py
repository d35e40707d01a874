"""Two processes that share a run end where one does, also where one began and two go on."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.parallel import Team
from umeta.core.rng import Rng
from umeta.recipes.learn import learn
from umeta.recipes.named import get_recipe
from umeta.recipes.request import resolve
from umeta.recipes.sharing import check_shared

SIDE, N_KINDS, N_EACH, PATIENCE_S = 12, 16, 12, 300
SHARED = {
    "cactus-maml": (
        replace(get_recipe("cactus-maml"), embedding="contrast", n_clusters=8, n_partitions=1, width=4),
        ["--embedding", "contrast", "--clusters", "8", "--partitions", "1"],
        1e-5,
    ),
    "default": (replace(get_recipe("default"), width=4), [], 0),
}


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_go_on_with_the_run_of_one_and_end_at_its_parameters(tmp_path, name):
    recipe, flags, tolerance = SHARED[name]
    generator = Rng.from_seed(0).numpy()
    kinds = generator.integers(200, size=(N_KINDS, SIDE, SIDE)).repeat(N_EACH, 0)
    source, shared = tmp_path / "images.npz", tmp_path / "shared"
    np.savez(source, images=(kinds + generator.integers(40, size=kinds.shape)).astype(np.uint8))
    request = resolve(str(source), recipe, steps=3)
    learn(request, tmp_path / "straight", team=Team(exact=True))
    metrics = shared / "metrics.csv"
    with pytest.raises(InterruptedRunError, match="stopped at step 1"):
        learn(request, shared, team=Team(exact=True), stop=lambda: metrics.is_file() and "meta_train,1," in metrics.read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "umeta", "learn", str(source), "--recipe", name, *flags, "--width", "4"]
    command += ["--steps", "3", "--out", str(shared), "--resume"]
    processes = [
        subprocess.Popen(command, env={**meeting, "RANK": str(rank)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "meta_train: goes on at step 1" in said[0][1]
    assert said[1][0] == ""
    straight, ours = (load_file(folder / "procedure" / "tensors.safetensors") for folder in (tmp_path / "straight", shared))
    assert straight.keys() == ours.keys()
    assert max(np.abs(straight[name] - ours[name]).max() for name in straight) <= tolerance


def test_runs_that_would_depend_on_the_number_of_processes_are_refused_with_a_remedy():
    team = Team(0, 2)
    check_shared(resolve("glyphs", "default", budget_s=60.0), Team())
    check_shared(resolve("glyphs", "cactus-maml", budget_s=60.0), team)
    check_shared(resolve("glyphs", "default", budget_s=60.0), Team(0, 8))
    with pytest.raises(InputError, match="8 shares of a step cannot be shared evenly by 3 processes"):
        check_shared(resolve("glyphs", "default", steps=5), Team(0, 3))
    with pytest.raises(InputError, match="psco has no step that 2 processes could share; give a recipe of ProtoNets"):
        check_shared(resolve("glyphs", "psco", steps=5), team)
    with pytest.raises(InputError, match="cannot be shared evenly by 3"):
        check_shared(resolve("glyphs", "cactus-maml", steps=5), Team(0, 3))
