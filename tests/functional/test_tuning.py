"""A linear classifier tuned for many tasks at once."""

import torch
from torch.nn import functional as F

from umeta.functional.tuning import tune_linear


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2, 2])


def test_tasks_know_nothing_of_one_another():
    examples, weight, bias = draw(3, 4, 5), draw(3, 3, 5, seed=1), draw(3, 3, seed=2)
    together = tune_linear(examples, LABELS.expand(3, -1), weight, bias, lr=0.1)
    for task in range(3):
        alone = tune_linear(examples[task], LABELS, weight[task], bias[task], lr=0.1)
        torch.testing.assert_close(alone, (together[0][task], together[1][task]))


def test_it_is_adam_on_the_mean_cross_entropy():
    examples, layer = draw(4, 5), torch.nn.Linear(5, 3).double()
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    for _ in range(7):
        optimizer.zero_grad()
        F.cross_entropy(layer(examples) / 0.5, LABELS).backward()
        optimizer.step()
    tuned = tune_linear(examples, LABELS, weight, bias, temperature=0.5, n_steps=7, lr=0.01)
    torch.testing.assert_close(tuned, (layer.weight.detach(), layer.bias.detach()), atol=1e-6, rtol=1e-6)


def test_the_start_is_left_alone_and_no_steps_return_it():
    weight, bias = torch.zeros(3, 5), torch.zeros(3)
    with torch.no_grad():
        tuned, _ = tune_linear(draw(4, 5).float(), LABELS, weight, bias)
        same, _ = tune_linear(draw(4, 5).float(), LABELS, weight, bias, n_steps=0)
    assert not tuned.equal(weight) and not tuned.requires_grad
    assert same.equal(weight) and weight.equal(torch.zeros(3, 5))
