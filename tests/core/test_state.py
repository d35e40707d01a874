"""A state is its tensors: weights, buffers and Adam's moments, there and back bit for bit."""

import math

import pytest
import torch
from torch import nn

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.core.errors import ArtifactError
from umeta.core.state import ModuleState


def make(seed=0, width=4, **options):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 4, 2))
    net = net.to(memory_format=torch.channels_last)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator)
    critic = nn.Linear(2, 1)
    optimizers = {"net_adam": torch.optim.Adam(net.parameters(), 1e-2), "critic": torch.optim.Adam(critic.parameters(), 1e-3)}
    return ModuleState({"net": net, "critic": critic}, optimizers, **options)


def practice(state, seed):
    images = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    loss = state.modules["critic"](state.modules["net"](images)).square().mean()
    for optimizer in state.optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in state.optimizers.values():
        optimizer.step()


def test_tensors_name_weights_buffers_and_moments():
    state = make()
    practice(state, 1)
    tensors = state.tensors()
    assert {"net.0.weight", "net.1.running_var", "critic.bias", "net_adam:0:exp_avg", "net_adam:5:exp_avg_sq", "critic:1:step"} <= set(
        tensors
    )
    assert tensors["critic:1:step"] == 1
    moment = 0.1 * state.modules["critic"].bias.grad
    torch.testing.assert_close(tensors["critic:1:exp_avg"], moment)


def test_a_state_that_went_through_a_file_goes_on_bit_for_bit(tmp_path):
    straight, resumed = make(), make(seed=5)
    for seed in (1, 2):
        practice(straight, seed)
    write_artifact(tmp_path / "state", "checkpoint", straight.tensors(), {})
    resumed.load_tensors(read_artifact(tmp_path / "state", "checkpoint")[0])
    for seed in (3, 4):
        practice(straight, seed)
        practice(resumed, seed)
    first, second = straight.tensors(), resumed.tensors()
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_loaded_moments_are_copies():
    state, other = make(), make()
    practice(state, 1)
    tensors = {name: value.clone() for name, value in state.tensors().items()}
    kept = {name: value.clone() for name, value in tensors.items()}
    other.load_tensors(tensors)
    practice(other, 2)
    assert all(torch.equal(tensors[name], kept[name]) for name in kept)


@pytest.mark.parametrize("spoil", ["shape", "missing", "extra"])
def test_weights_of_another_network_are_refused(spoil):
    state = make()
    tensors = dict(state.tensors())
    if spoil == "shape":
        tensors = make(width=3).tensors()
    elif spoil == "missing":
        del tensors["net.0.bias"]
    else:
        tensors["net.9.weight"] = torch.zeros(1)
    with pytest.raises(ArtifactError, match="of another network"):
        state.load_tensors(tensors)


def rates(state):
    return [group["lr"] for optimizer in state.optimizers.values() for group in optimizer.param_groups]


def test_annealing_follows_half_a_cosine_from_the_first_rates_to_zero():
    state = make()
    for progress, factor in ((0.0, 1.0), (0.25, (1 + math.sqrt(0.5)) / 2), (0.5, 0.5), (1.0, 0.0), (7.0, 0.0), (-1.0, 1.0)):
        state.anneal(progress)
        assert rates(state) == pytest.approx([1e-2 * factor, 1e-3 * factor], abs=1e-12)
    constant = make(cosine=False)
    constant.anneal(1.0)
    assert rates(constant) == [1e-2, 1e-3]


def test_a_loaded_state_anneals_from_the_first_rates():
    state, other = make(), make()
    practice(state, 1)
    state.anneal(0.9)
    other.load_tensors(state.tensors())
    other.anneal(0.0)
    assert rates(other) == [1e-2, 1e-3]
