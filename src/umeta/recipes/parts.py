"""Knows which partitioner, learner and network the settings of a recipe mean."""

from umeta.core.metalearner import MetaLearner
from umeta.core.state import ModuleState
from umeta.images.episode import Episode
from umeta.images.learners.adaptation import InnerLoop
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.learners.maml import Maml
from umeta.images.learners.protonets import ProtoNets
from umeta.images.learners.psco import PsCo
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.nets.net import NetConfig
from umeta.images.nets.perceptron import MlpConfig
from umeta.images.nets.resnet12 import ResNet12Config
from umeta.images.partition.hyperplanes import HyperplanePartitioner
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.shuffled import RandomPartitioner
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import Plan


def make_partitioner(recipe: Recipe, plan: Plan) -> KMeansPartitioner | HyperplanePartitioner | RandomPartitioner:
    """Return a recipe's way to cut an embedding, for the images of a plan."""
    if recipe.partition == "hyperplanes":
        return HyperplanePartitioner(plan.n_way, recipe.n_partitions, recipe.margin)
    if recipe.partition == "random":
        return RandomPartitioner(plan.n_clusters, recipe.n_partitions)
    return KMeansPartitioner(plan.n_clusters, recipe.n_partitions)


def make_learner(recipe: Recipe, plan: Plan) -> MetaLearner[Episode, ModuleState, ImageProcedure]:
    """Return a recipe's learner for the images of a plan."""
    if recipe.learner == "psco":
        # Four shots on photos and one on drawings, as the authors have it.
        net = Conv4Config(plan.channels, plan.side, 64, plan.downsample)
        n_queue = min(PsCo.n_queue, plan.n_images * plan.n_turns)
        return PsCo(net, n_queue, 4 if plan.augment == "photos" else 1, lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.learner in ("protonets", "in-context"):
        return ProtoNets(
            make_net(recipe, plan), recipe.metric, recipe.objective, recipe.lr, recipe.weight_decay, recipe.average, recipe.n_splits
        )
    inner = InnerLoop(first_order=recipe.first_order, statistics=recipe.norm, adapts=recipe.adapts, head=recipe.head_start)
    return Maml(make_net(recipe, plan), plan.n_way, inner, learn_rates=recipe.learn_rates)


def make_net(recipe: Recipe, plan: Plan) -> NetConfig:
    """Return the network of a recipe's ProtoNets or MAML."""
    gradient = recipe.learner == "maml"
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
