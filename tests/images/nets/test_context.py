"""The transformer: it moves nothing at first, looks at the whole support set, and at no other query."""

import torch

from umeta.images.nets.context import ContextConfig, ContextTransformer


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(*, moving: bool = True) -> ContextTransformer:
    net = ContextTransformer(ContextConfig(6, 8, 2, 2), torch.Generator().manual_seed(0))
    for linear in (net.move, net.name) if moving else ():
        torch.nn.init.normal_(linear.weight, generator=torch.Generator().manual_seed(1))
    return net


def test_it_moves_nothing_before_it_is_trained():
    net = made(moving=False)
    memory, moved = net.support(draw(2, 4, 6), draw(2, 4, 8, seed=1))
    assert memory.shape == (2, 2, 4, 8)
    assert not moved.any() and not any(part.any() for part in net.queries(draw(2, 3, 6, seed=2), memory))
    sum(part.sum() for part in net.queries(draw(2, 3, 6, seed=2), memory)).backward()
    assert net.move.weight.grad.any() and net.name.weight.grad.any(), "it can begin to learn"


def test_attention_of_one_head_is_the_formula_in_a_slow_loop():
    net = ContextTransformer(ContextConfig(6, 8, 1, 1), torch.Generator().manual_seed(0))
    layer, tokens, memory = net.layers[0], draw(1, 3, 8), draw(1, 4, 8, seed=1)
    asked, (keys, values) = layer.asked(layer.before(tokens))[0], layer.offered(layer.before(memory))[0].chunk(2, -1)
    rows = []
    for query, token in zip(asked, tokens[0], strict=True):
        weight = torch.stack([query @ key for key in keys]).div(8**0.5).softmax(0)
        mixed = token + layer.mixed(sum(w * value for w, value in zip(weight, values, strict=True)))
        rows.append(mixed + layer.out(torch.nn.functional.gelu(layer.hidden(layer.between(mixed)))))
    torch.testing.assert_close(layer(tokens, memory)[0], torch.stack(rows))


def test_queries_see_the_support_and_no_other_query():
    net, support, codes, queries = made(), draw(1, 4, 6), draw(1, 4, 8, seed=1), draw(1, 3, 6, seed=2)
    memory, moved = net.support(support, codes)
    together = net.queries(queries, memory)
    for place in range(3):
        alone = net.queries(queries[:, place : place + 1], memory)
        for one, all_ in zip(alone, together, strict=True):
            torch.testing.assert_close(one[:, 0], all_[:, place])
    for part in range(4):
        other = support.clone()
        other[0, part] += 1
        changed, moved_too = net.support(other, codes)
        assert (net.queries(queries, changed)[0] - together[0]).abs().amax(-1).min() > 1e-4
        assert (moved_too - moved).abs().amax(-1).min() > 1e-4
