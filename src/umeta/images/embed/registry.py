"""Knows every embedding that is learned here by its name, and how a stored encoder of any kind comes back."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

from umeta.images.embed.acai import Acai, AcaiEncoder
from umeta.images.embed.bigan import Bigan, BiganEncoder
from umeta.images.embed.deepcluster import DeepCluster, DeepClusterEncoder
from umeta.images.embed.infogan import Infogan, InfoganEncoder
from umeta.images.embed.learned import LearnedEncoder
from umeta.images.embed.outside import OutsideEncoder
from umeta.images.embed.pixels import PixelsZca
from umeta.images.embed.refined import RefinedEncoder
from umeta.images.embed.training import Embedder, StoredEncoder
from umeta.images.embed.vae import Vae, VaeEncoder
from umeta.images.learners.classifier import restored
from umeta.images.nets.net import rebuilt, restore_net

# Each makes an embedder for a pool whose images are viewed as "drawings" or as "photos".
EMBEDDERS: Mapping[str, Callable[[Literal["drawings", "photos"]], Embedder]] = {
    "acai": lambda views: Acai(),
    "bigan": lambda views: Bigan(),
    "infogan": lambda views: Infogan(),
    "deepcluster": DeepCluster,
    "vae": lambda views: Vae(),
}


def _refined(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RefinedEncoder:
    below = restore_encoder(**settings["below"], tensors=restored(tensors, "below."))
    return RefinedEncoder(below, rebuilt(restore_net(settings["net"]), restored(tensors, "net.")))


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], StoredEncoder]] = {
    AcaiEncoder.kind: AcaiEncoder.restore,
    BiganEncoder.kind: BiganEncoder.restore,
    InfoganEncoder.kind: InfoganEncoder.restore,
    DeepClusterEncoder.kind: DeepClusterEncoder.restore,
    VaeEncoder.kind: VaeEncoder.restore,
    LearnedEncoder.kind: LearnedEncoder.restore,
    PixelsZca.kind: PixelsZca.restore,
    OutsideEncoder.kind: OutsideEncoder.restore,
    RefinedEncoder.kind: _refined,
}


def restore_encoder(kind: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StoredEncoder:
    """Rebuild an encoder from its kind, what its `describe` returned, and its tensors."""
    return _KINDS[kind](settings, tensors)
