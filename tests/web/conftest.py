"""A run that is learned once per session."""

from pathlib import Path

import numpy as np
import pytest

from umeta.cli.main import main


@pytest.fixture(scope="session")
def drawings() -> np.ndarray:
    """240 gray images of one blob each, at one of 12 places, with noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28] / 28
    place = rng.integers(0, 12, 240)
    dx, dy = x - (0.2 + 0.2 * (place % 4))[:, None, None], y - (0.2 + 0.3 * (place // 4))[:, None, None]
    return (200 * np.exp(-(dx**2 + dy**2) / 0.02) + rng.integers(0, 40, (240, 28, 28))).astype(np.uint8)


@pytest.fixture(scope="session")
def run(drawings: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that clustered; do not change it."""
    folder = tmp_path_factory.mktemp("web-run")
    np.savez(folder / "drawings.npz", images=drawings)
    quick = ("--recipe", "cactus-protonets", "--embedding", "pixels", "--partitions", "2", "--image-size", "14", "--steps", "4")
    assert main(["learn", str(folder / "drawings.npz"), "--out", str(folder / "proto"), *quick]) == 0
    return folder / "proto"
