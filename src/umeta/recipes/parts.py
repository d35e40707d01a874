"""Knows which partitioner, learner and network the settings of a recipe mean."""

from dataclasses import replace

from umeta.core.metalearner import MetaLearner
from umeta.core.state import ModuleState
from umeta.images.episode import Episode
from umeta.images.learners.adaptation import InnerLoop
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.learners.maml import Maml
from umeta.images.learners.protonets import ProtoNets
from umeta.images.learners.psco import PsCo
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.nets.net import Net, NetConfig
from umeta.images.nets.perceptron import MlpConfig
from umeta.images.nets.resnet12 import ResNet12Config
from umeta.images.partition.hyperplanes import HyperplanePartitioner
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.shuffled import RandomPartitioner
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import Plan

LENGTH = 4.0  # Prototypes then score as by the cosine at a temperature of 1 / 32, which is that of `default`.


def make_partitioner(recipe: Recipe, plan: Plan) -> KMeansPartitioner | HyperplanePartitioner | RandomPartitioner:
    """Return a recipe's way to cut an embedding, for the images of a plan."""
    if recipe.partition == "hyperplanes":
        return HyperplanePartitioner(plan.n_way, recipe.n_partitions, recipe.margin)
    if recipe.partition == "random":
        return RandomPartitioner(plan.n_clusters, recipe.n_partitions)
    return KMeansPartitioner(plan.n_clusters, recipe.n_partitions)


def make_learner(recipe: Recipe, plan: Plan, begin: Net | None = None) -> MetaLearner[Episode, ModuleState, ImageProcedure]:
    """Return a recipe's learner for the images of a plan, whose practice begins at a network's weights, if there is one."""
    if recipe.learner == "psco":
        # Four shots on photos and one on drawings, as the authors have it.
        own = Conv4Config(plan.channels, plan.side, 64, plan.downsample)
        n_queue = min(PsCo.n_queue, plan.n_images * plan.n_turns)
        return PsCo(own, n_queue, 4 if plan.augment == "photos" else 1, lr=recipe.lr, weight_decay=recipe.weight_decay)
    net = make_net(recipe, plan, begin)
    if recipe.learner in ("protonets", "in-context"):
        settings = (recipe.metric, recipe.objective, recipe.lr, recipe.weight_decay, recipe.average, recipe.n_splits)
        return ProtoNets(net, *settings, begin)
    inner = InnerLoop(first_order=recipe.first_order, statistics=recipe.norm, adapts=recipe.adapts, head=recipe.head_start)
    length = None if begin is None else LENGTH
    return Maml(net, plan.n_way, inner, outer_lr=recipe.lr, learn_rates=recipe.learn_rates, begin=begin, length=length)


def make_net(recipe: Recipe, plan: Plan, begin: Net | None = None) -> NetConfig:
    """Return the network of a recipe's ProtoNets or MAML; where practice begins at another's weights, of its form."""
    gradient = recipe.learner == "maml"
    if begin is not None:
        return replace(begin.config, stored=not gradient)
    if recipe.practice_on == "embedding":
        width = recipe.width or (64 if gradient else 128)
        return MlpConfig(plan.channels, widths=(width, width), stored=not gradient)
    if recipe.net == "resnet12":
        first = recipe.width or 64
        return ResNet12Config(plan.channels, plan.side, (first, 5 * first // 2, 5 * first, 10 * first), stored=not gradient)
    if gradient:
        width, coarse = recipe.width or 32, plan.downsample == "coarse"
        return Conv4Config.adapted(plan.channels, plan.side, width, recipe.normalization, coarse=coarse)
    return Conv4Config(
        plan.channels, plan.side, recipe.width or 64, plan.downsample, signed=recipe.signed, normalization=recipe.normalization
    )
