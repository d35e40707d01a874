"""Scoring is paired, repeatable, and its first tasks do not depend on how many follow."""

import numpy as np
import pytest

from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores, evaluate


class Draws:
    """Tasks that are one number each; drawing fewer at once would give others."""

    def sample_batch(self, rng, n_tasks):
        return rng.numpy().random(n_tasks)[::-1]


def measure(procedure, batch, rng):
    return np.stack([procedure * batch, procedure * batch + 1])


def test_two_procedures_meet_the_same_tasks_and_prefixes_agree():
    rng = Rng.from_seed(0)
    first = evaluate(1.0, Draws(), measure, n_tasks=250, rng=rng).values
    assert first.shape == (2, 250)
    assert len(set(first[0])) == 250
    np.testing.assert_array_equal(evaluate(2.0, Draws(), measure, n_tasks=250, rng=rng).values[0], 2 * first[0])
    for n_tasks in (1, 99, 100, 101):
        np.testing.assert_array_equal(evaluate(1.0, Draws(), measure, n_tasks=n_tasks, rng=rng).values, first[:, :n_tasks])
    assert not np.array_equal(evaluate(1.0, Draws(), measure, n_tasks=250, rng=Rng.from_seed(1)).values, first)


def test_chunks_adapt_with_streams_of_their_own():
    streams = []
    evaluate(1.0, Draws(), lambda p, batch, rng: streams.append(rng) or np.zeros((1, len(batch))), n_tasks=250, rng=Rng.from_seed(0))
    assert streams == [Rng.from_seed(0).fork("adapt", index) for index in range(3)]


def test_progress_ends_at_one():
    seen = []
    evaluate(1.0, Draws(), measure, n_tasks=250, rng=Rng.from_seed(0), on_progress=seen.append)
    assert seen == [0.4, 0.8, 1.0]


def test_the_summary_is_of_the_last_stage_unless_asked():
    scores = Scores(np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert scores.summary()[0] == 0.5
    assert scores.summary()[1] == pytest.approx(1.96 * 0.5)
    assert scores.summary(0) == (0.0, 0.0)
