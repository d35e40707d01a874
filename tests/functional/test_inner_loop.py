"""The inner loop against a closed form, finite differences and plain Python."""

import pytest
import torch
from torch.func import grad, vmap

from umeta.functional.inner_loop import inner_loop

CENTER = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
CURVATURE = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
START = torch.tensor([3.0, 0.0, -1.0], dtype=torch.float64)


def quadratic(weights):
    return (CURVATURE * (weights["w"] - CENTER).square()).sum() / 2


@pytest.mark.parametrize("n_steps", [0, 1, 5])
def test_a_quadratic_contracts_as_its_closed_form_says(n_steps):
    adapted, seen = inner_loop(quadratic, {"w": START}, lr=0.1, n_steps=n_steps, observe=quadratic)
    torch.testing.assert_close(adapted["w"], CENTER + (1 - 0.1 * CURVATURE) ** n_steps * (START - CENTER))
    assert len(seen) == n_steps + 1
    assert seen[0] == quadratic({"w": START})
    assert seen[-1] == quadratic(adapted)
    assert inner_loop(quadratic, {"w": START}, lr=0.1, n_steps=n_steps)[1] == []


def network(weights, x):
    return torch.tanh(x @ weights["a"]) @ weights["b"]


def problem(seed=0):
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    return {"a": normal(2, 3), "b": normal(3, 1)}, normal(4, 2), normal(4, 1), normal(5, 2), normal(5, 1)


def outer(weights, x, y, query_x, query_y, *, first_order=False, n_steps=3):
    def support_loss(current):
        return (network(current, x) - y).square().mean()

    adapted, _ = inner_loop(support_loss, weights, lr=0.2, n_steps=n_steps, first_order=first_order)
    return (network(adapted, query_x) - query_y).square().mean()


def test_the_second_order_gradient_agrees_with_finite_differences():
    weights, *data = problem()
    inputs = [value.clone().requires_grad_() for value in weights.values()]
    assert torch.autograd.gradcheck(lambda a, b: outer({"a": a, "b": b}, *data), inputs, atol=1e-7)


def test_the_first_order_gradient_is_the_one_at_the_adapted_weights():
    weights, x, y, query_x, query_y = problem()
    first = grad(lambda w: outer(w, x, y, query_x, query_y, first_order=True))(weights)
    adapted, _ = inner_loop(lambda w: (network(w, x) - y).square().mean(), weights, lr=0.2, n_steps=3)
    at_adapted = grad(lambda w: (network(w, query_x) - query_y).square().mean())(adapted)
    second = grad(lambda w: outer(w, x, y, query_x, query_y))(weights)
    for name in weights:
        torch.testing.assert_close(first[name], at_adapted[name])
        assert (first[name] - second[name]).abs().max() > 1e-2


def test_vmap_over_tasks_equals_a_loop_over_tasks():
    weights = problem()[0]
    tasks = [problem(seed)[1:] for seed in (1, 2, 3)]
    together = vmap(lambda *data: outer(weights, *data))(*(torch.stack(part) for part in zip(*tasks, strict=True)))
    torch.testing.assert_close(together, torch.stack([outer(weights, *data) for data in tasks]))


def test_adaptation_leaves_the_given_weights_alone():
    weights = {"w": START.clone()}
    inner_loop(quadratic, weights, lr=0.1, n_steps=4)
    assert torch.equal(weights["w"], START)
