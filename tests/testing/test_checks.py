"""Every assertion of the public checks is seen to fail on a part that breaks just that rule, and good parts pass."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.embed.pixels import flatten_pixels
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.baselines import EmbeddedProcedure, NearestNeighbor
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4Config
from umeta.testing import check_metalearner, check_procedure, check_tabular_tasks, check_task_distribution
from umeta.theory.tasks import TabularTasks
from umeta.theory.world import gridworld

PROTONETS = ProtoNets(Conv4Config(1, 28, 4))


class Tasks:
    """Good tasks with one rule broken by `batch(episodes, rng)` or `one(episode)`."""

    def __init__(self, tasks, batch=lambda episodes, rng: episodes, one=lambda episode: episode):
        self.tasks, self.batch, self.one = tasks, batch, one

    def sample_batch(self, rng, n_tasks):
        return self.batch(self.tasks.sample_batch(rng, n_tasks), rng)

    def sample(self, rng):
        return self.one(self.tasks.sample(rng))


def with_first_twice(episodes, rng):
    indices = episodes.indices.copy()
    indices[:, 0, 1] = indices[:, 1, 0]
    return replace(episodes, indices=indices)


class Counter:
    """Breaks purity: every call rolls the batch further."""

    def __init__(self):
        self.n = 0

    def __call__(self, episodes, rng):
        self.n += 1
        return replace(episodes, indices=episodes.indices.take(range(self.n, self.n + len(episodes)), axis=0, mode="wrap"))


class Brighter:
    """Breaks purity of the images alone."""

    def __init__(self):
        self.n = 0

    def __call__(self, images, rng):
        self.n += 1
        return images / self.n


BRIGHTER = Brighter()


def query_as(change):
    return lambda episode: Episode(episode.support, change(episode.query))


BROKEN_TASKS = {
    "gave 19 tasks, not 20": {"batch": lambda episodes, rng: episodes[1:]},
    "a batch is not Episodes": {"batch": lambda episodes, rng: list(episodes)},
    "the same stream gave two different batches": {"batch": Counter()},
    "the same stream gave two different sets of images": {"batch": lambda episodes, rng: replace(episodes, augment=BRIGHTER)},
    "two streams gave the same batch": {"batch": lambda episodes, rng: replace(episodes, indices=episodes.indices * 0 + range(5))},
    "an image appears in two classes of one task": {"batch": with_first_twice},
    "an image appears twice in one class, unchanged": {
        "batch": lambda episodes, rng: replace(episodes, indices=episodes.indices[..., :1].repeat(5, -1))
    },
    "disagree on n_way": {"one": lambda episode: Episode(replace(episode.support, n_way=6), episode.query)},
    "images and labels differ in number": {"one": query_as(lambda query: replace(query, images=query.images[1:]))},
    "a class has no image": {"one": query_as(lambda query: replace(query, labels=query.labels.clamp(max=3)))},
    "a label is out of range": {"one": query_as(lambda query: replace(query, labels=query.labels + 1))},
    "image values leave": {"one": query_as(lambda query: replace(query, images=query.images * 255))},
}


def test_good_tasks_pass(tiny_tasks):
    check_task_distribution(tiny_tasks)
    check_task_distribution(Tasks(tiny_tasks))


@pytest.mark.parametrize("message", BROKEN_TASKS)
def test_broken_tasks_fail(tiny_tasks, message):
    with pytest.raises(AssertionError, match=message):
        check_task_distribution(Tasks(tiny_tasks, **BROKEN_TASKS[message]))


@dataclass
class Learner:
    """A good meta-learner with one method replaced."""

    broken: str = ""
    n_calls: int = 0

    def init(self, rng):
        self.n_calls += 1
        return PROTONETS.init(rng.fork("x", self.n_calls) if self.broken == "init" else rng)

    def step(self, state, tasks, rng):
        self.n_calls += 1
        if self.broken == "still":
            return state, {"loss": 0.0}
        if self.broken == "forgets":  # what the state does not hold is lost on a resume
            state.hidden = getattr(state, "hidden", 0) + 1
            for group in state.optimizers["adam"].param_groups:
                group["lr"] = 1e-3 / state.hidden
        if self.broken == "impure":
            for group in state.optimizers["adam"].param_groups:
                group["lr"] = 1e-3 * self.n_calls
        state, metrics = PROTONETS.step(state, tasks, rng)
        return state, {"loss": float("nan")} if self.broken == "nan" else metrics

    def export(self, state):
        procedure = PROTONETS.export(state)
        return replace(procedure, net=state.modules["net"]) if self.broken == "shares" else procedure


BROKEN_LEARNERS = {
    "init": "init is not a pure function",
    "nan": "the loss is nan",
    "impure": "a step is not a pure function",
    "still": "a step changed nothing",
    "forgets": "a state loaded from tensors goes on differently",
    "shares": "later steps changed an exported procedure",
}


def test_a_good_learner_passes(tiny_tasks):
    check_metalearner(Learner(), tiny_tasks)


@pytest.mark.parametrize("broken", BROKEN_LEARNERS)
def test_broken_learners_fail(tiny_tasks, broken):
    with pytest.raises(AssertionError, match=BROKEN_LEARNERS[broken]):
        check_metalearner(Learner(broken), tiny_tasks)


@dataclass
class Procedure:
    """Nearest neighbors in pixels with one rule broken."""

    broken: str = ""
    transductive: bool = False
    n_calls: int = 0

    def adapt(self, support, rng):
        self.n_calls += 1
        return Classifier(self, support, self.n_calls)

    def tensors(self):
        return {"n": torch.tensor(float(self.n_calls if self.broken == "changes" else 0))}


@dataclass
class Classifier:
    procedure: Procedure
    support: Examples
    n_calls: int

    def logits(self, images):
        broken, support = self.procedure.broken, self.support
        good = EmbeddedProcedure(flatten_pixels, NearestNeighbor()).adapt(support, Rng.from_seed(0)).logits(images)
        changes = {
            "shape": lambda: good[:, 1:],
            "impure": lambda: good + self.n_calls,
            "looks around": lambda: good - good.mean(0),
            "order": lambda: good + support.images[0].mean(),
            "unequal": lambda: good / (len(set(torch.bincount(support.labels).tolist())) == 1),
        }
        return changes.get(broken, lambda: good)()


@pytest.fixture(scope="module")
def episode(tiny_tasks):
    return replace(tiny_tasks, k_shot=2, n_query=3).sample(Rng.from_seed(4))


def test_good_procedures_pass(episode):
    check_procedure(Procedure(), episode)
    check_procedure(Procedure("looks around", transductive=True), episode)
    check_procedure(EmbeddedProcedure(flatten_pixels, NearestNeighbor()), episode)


@pytest.mark.parametrize(
    ("broken", "transductive", "message"),
    [
        ("shape", False, "logits have shape"),
        ("changes", False, "adapt changed the procedure"),
        ("impure", False, "adapt is not a pure function"),
        ("looks around", False, "it says that it is inductive"),
        ("", True, "it says that it is transductive"),
        ("order", False, "the order of the examples matters"),
        ("unequal", False, "unequal shots give scores that are not finite"),
    ],
)
def test_broken_procedures_fail(episode, broken, transductive, message):
    with pytest.raises(AssertionError, match=message):
        check_procedure(Procedure(broken, transductive), episode)


def test_episodes_are_what_the_checks_take_them_for(tiny_tasks):
    assert isinstance(tiny_tasks.sample_batch(Rng.from_seed(0), 2), Episodes)


GOALS = TabularTasks(gridworld(2, 2, horizon=3), np.eye(4), np.full(4, 0.25))


class FewerTasks(TabularTasks):
    def sample_batch(self, rng, n_tasks):
        return super().sample_batch(rng, n_tasks)[1:] or super().sample_batch(rng, n_tasks)


class RememberingTasks(TabularTasks):
    calls = 0

    def sample_batch(self, rng, n_tasks):
        type(self).calls += 1
        return super().sample_batch(rng.fork("call", self.calls), n_tasks)


class DeafTasks(TabularTasks):
    def sample_batch(self, rng, n_tasks):
        return super().sample_batch(Rng.from_seed(0), n_tasks)


class OtherSample(TabularTasks):
    def sample(self, rng):
        task = super().sample(rng)
        return replace(task, reward=1 - task.reward)


class SameEpisodes(TabularTasks):
    def sample_batch(self, rng, n_tasks):
        return [OneRole(**vars(task)) for task in super().sample_batch(rng, n_tasks)]


class OneRole(type(GOALS.sample(Rng.from_seed(0)))):
    @property
    def query(self):
        return self.support


class ImpureTrials(type(GOALS.sample(Rng.from_seed(0)).support)):
    runs = 0

    def run(self, policy, rng):
        type(self).runs += 1
        return super().run(policy, rng.fork("run", self.runs))


class ImpureTask(OneRole):
    @property
    def support(self):
        return ImpureTrials(self.process, self.reward, self.n_support, "support")


class ImpureRuns(TabularTasks):
    def sample_batch(self, rng, n_tasks):
        return [ImpureTask(**vars(task)) for task in super().sample_batch(rng, n_tasks)]


class ShortRewards(TabularTasks):
    def sample_batch(self, rng, n_tasks):
        return [replace(task, reward=task.reward[:3]) for task in super().sample_batch(rng, n_tasks)]


@pytest.mark.parametrize(
    ("kind", "rewards", "told"),
    [
        (FewerTasks, np.eye(4), "gave 19 tasks, not 20"),
        (RememberingTasks, np.eye(4), "the same stream gave two different batches"),
        (DeafTasks, np.eye(4), "two streams gave the same batch"),
        (OtherSample, np.eye(4), "sample is not a batch of one"),
        (ShortRewards, np.eye(4), r"a reward has shape \(3,\)"),
        (TabularTasks, np.where(np.eye(4) > 0, np.inf, 0), "a reward is not finite"),
        (ImpureRuns, np.eye(4), "running is not a pure function"),
        (SameEpisodes, np.eye(4), "support and query run the same episodes"),
    ],
)
def test_tabular_tasks_that_break_one_rule(kind, rewards, told):
    check_tabular_tasks(GOALS)
    with pytest.raises(AssertionError, match=told):
        check_tabular_tasks(kind(GOALS.process, rewards, GOALS.probability))
