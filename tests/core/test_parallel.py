"""What several processes share, seen from one of them; tests/recipes/test_sharing.py starts two."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from umeta.core import parallel
from umeta.core.errors import InputError
from umeta.core.parallel import ALONE, Team, check_shares, started
from umeta.core.state import ModuleState


@pytest.fixture
def others_add(monkeypatch):
    """Let the other processes hold ones, whatever is added up."""
    monkeypatch.setattr(parallel.distributed, "all_reduce", lambda values: values.add_(1.0))


def test_a_process_on_its_own_waits_for_nobody():
    batch = [1, 2, 3]
    assert ALONE.portion(batch) is batch
    assert ALONE.any(True) and not ALONE.any(False)
    assert ALONE.mean({"loss": 2.0}) == {"loss": 2.0}
    with started() as team:
        assert team == ALONE


def test_metrics_are_means_and_a_wish_of_one_is_a_wish_of_all(others_add):
    assert Team(0, 2).mean({"loss": 2.0, "accuracy": 0.0}) == {"loss": 1.5, "accuracy": 0.5}
    assert Team(0, 2).any(False)


def test_an_optimizer_steps_along_the_mean_of_gradients_while_shared(others_add):
    layer = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    with ModuleState({"layer": layer}, {"sgd": optimizer}).shared(Team(0, 2)):
        (layer(torch.tensor([[3.0, 5.0]])) * 1.0).sum().backward()
        optimizer.step()
    assert layer.weight.tolist() == [[-2.0, -3.0]]
    assert layer.bias.tolist() == [-1.0]
    optimizer.zero_grad()
    layer(torch.tensor([[1.0, 0.0]])).sum().backward()
    optimizer.step()
    assert np.allclose(layer.weight.tolist(), [[-3.0, -3.0]])


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_numbers_that_work():
    check_shares(8, "tasks", 4)
    with pytest.raises(InputError, match="8 tasks of a step cannot be shared evenly by 3 processes; start 1, 2, 4, 8 of them"):
        check_shares(8, "tasks", 3)


def test_rows_of_uneven_shares_come_together_and_slopes_go_back(in_team):
    everything = torch.arange(34.0).view(17, 2)
    slopes = everything.flip(0)

    def work(team):
        team = replace(team, n_rows=17)
        own = everything[team.span()].clone().requires_grad_()
        joined = team.joined(own)
        (joined * slopes).sum().backward()
        sums = team.summed([everything[team.span()][share].sum(0) for share in team.shares()])
        return joined.detach(), own.grad, [part.stop - part.start for part in team.shares()], sums

    alone = work(Team(exact=True))
    joined, own_slopes, sizes, sums = zip(*in_team(4, work), strict=True)
    assert all(torch.equal(one, everything) for one in joined)
    assert torch.equal(torch.cat(own_slopes), slopes)
    assert [size for own in sizes for size in own] == alone[2] == [2, 2, 2, 2, 2, 2, 2, 3]
    assert all(torch.equal(one, everything.sum(0)) for one in (alone[3], *sums))


def test_all_take_what_process_0_decided(in_team):
    decided = in_team(2, lambda team: team.first(torch.tensor([5, 7]) * (team.rank + 1)))
    assert [values.tolist() for values in decided] == [[5, 7], [5, 7]]
    assert in_team(2, lambda team: team.led(team.rank + 0.1, 3.0)) == [[0.1, 3.0], [0.1, 3.0]]
    assert ALONE.led(0.1, 3.0) == [0.1, 3.0]


def test_a_process_that_torchrun_started_alone_computes_as_several_would(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with started() as team:
        assert team == Team(exact=True)
