"""The perceptron against its formula, in both modes."""

import torch

from umeta.images.nets.perceptron import Perceptron


def made(normalized: bool) -> Perceptron:
    return Perceptron(3, 5, 2, torch.Generator().manual_seed(0), normalized=normalized)


def test_it_is_two_maps_with_a_rectified_normal_form_between_them():
    net, vectors = made(False), torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    hidden = vectors @ net.first.weight.T
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(net.train()(vectors), hidden.clamp(min=0) @ net.second.weight.T)


def test_the_output_is_normalized_without_scale_or_shift():
    net = made(True)
    out = net.train()(torch.randn(64, 3, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(out.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(0, unbiased=False), torch.ones(2), atol=1e-3, rtol=0)
    out.square().sum().backward()
    assert net.last.weight is None and net.last.bias.grad is None
    assert net.norm.bias.grad is not None


def test_in_use_one_vector_does_not_depend_on_another():
    net, vectors = made(True), torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    net.train()(vectors)
    together = net.eval()(vectors)
    torch.testing.assert_close(torch.cat([net(vector[None]) for vector in vectors]), together)
