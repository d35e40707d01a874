"""Calibration error by hand; the temperature against a fine search, and how far a prior holds it."""

import pytest
import torch
from torch.nn import functional as F

from umeta.functional.calibration import expected_calibration_error, fit_temperature


def test_the_error_is_the_gap_of_each_bin_by_its_share():
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55, 0.5501])
    right = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    wanted = 4 / 6 * 0.20 + 2 / 6 * abs(0.5 - 0.55005)
    assert expected_calibration_error(confidence, right, n_bins=10) == pytest.approx(wanted, abs=1e-6)
    assert expected_calibration_error(torch.ones(3), torch.ones(3)) == 0
    with pytest.raises(ValueError, match="at least one answer"):
        expected_calibration_error(torch.ones(0), torch.ones(0))


def test_the_temperature_that_made_the_answers_is_found(rng):
    logits = 6 * torch.randn(2, 4000, 5, generator=rng.torch())
    logits[1] /= 4
    true = torch.stack([logits[0] / 3, logits[1] / 0.5])
    labels = true.add(gumbel(true.shape, rng)).argmax(-1)
    assert fit_temperature(logits, labels).tolist() == pytest.approx([3.0, 0.5], rel=0.1)


def gumbel(shape, rng):
    return -(-torch.rand(shape, generator=rng.fork("noise").torch()).log()).log()


def test_a_prior_holds_few_answers_and_yields_to_many():
    logits, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    assert fit_temperature(logits, labels) == 64.0, "a single wrong answer by itself asks for no confidence at all"
    held = float(fit_temperature(logits, labels, prior=1.0))
    assert 1.0 < held < 1.5
    many = float(fit_temperature(logits.repeat(500, 1), labels.repeat(500), prior=1.0))
    assert many > 4
    grid = torch.linspace(0.5, 3, 501)
    loss = torch.stack([F.cross_entropy(logits / t, labels) + t.log() ** 2 / (2 * 0.25) for t in grid])
    assert held == pytest.approx(float(grid[loss.argmin()]), rel=0.07)
