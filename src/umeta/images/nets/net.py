"""Knows which networks turn images into vectors, and how each is built again from what its artifact says."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.nets.perceptron import Mlp, MlpConfig
from umeta.images.nets.resnet12 import ResNet12, ResNet12Config

NetConfig = Conv4Config | ResNet12Config | MlpConfig
Net = Conv4 | ResNet12 | Mlp
_CONFIGS: Mapping[str, Callable[..., NetConfig]] = {"conv4": Conv4Config, "resnet12": ResNet12Config, "mlp": MlpConfig}


def build(config: NetConfig, generator: torch.Generator) -> Net:
    """Return a fresh network."""
    if isinstance(config, ResNet12Config):
        return ResNet12(config, generator)
    return Mlp(config, generator) if isinstance(config, MlpConfig) else Conv4(config, generator)


def describe_net(config: NetConfig) -> dict[str, Any]:
    """Return a configuration, JSON-ready."""
    kind = next(name for name, made in _CONFIGS.items() if type(config) is made)
    return {"type": kind, **asdict(config)}


def restore_net(info: Mapping[str, Any]) -> NetConfig:
    """Return the configuration that `describe_net` described; one without a type, of earlier versions, is a Conv4's."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in info.items() if name != "type"}
    return _CONFIGS[info.get("type", "conv4")](**fields)


def begin_at(net: Net, other: Net) -> None:
    """Give a network the weights of another of its form, and its statistics where both store them."""
    theirs = other.state_dict()
    net.load_state_dict({name: theirs[name] for name in net.state_dict()})


def rebuilt(config: NetConfig, weights: Mapping[str, Tensor]) -> Net:
    """Return a network with these weights and statistics, frozen and laid out for use."""
    net = build(config, torch.Generator()).eval()
    net.load_state_dict(weights)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions of a few images take a third of the time
    return net.requires_grad_(False)
