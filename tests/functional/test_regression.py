"""Logistic regression in fixed steps ends where scikit-learn's solver does, task by task."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from umeta.functional.regression import logistic_regression


@pytest.mark.parametrize(("n_way", "inverse_penalty"), [(3, 1.0), (4, 10.0)])
def test_it_ends_where_scikit_learn_does(rng, n_way, inverse_penalty):
    labels = torch.arange(n_way).repeat(5)
    examples = torch.randn(6, len(labels), 8, generator=rng.torch()) + labels[:, None]
    found = logistic_regression(examples, labels.expand(6, -1), n_way, inverse_penalty=inverse_penalty, n_steps=3000)
    for own, one in zip(found, examples, strict=True):
        model = LogisticRegression(C=inverse_penalty, fit_intercept=False, tol=1e-8, max_iter=5000).fit(one.numpy(), labels.numpy())
        np.testing.assert_allclose(own.numpy(), model.coef_, atol=1e-2)


def test_a_hundred_steps_are_enough_on_the_sphere(rng):
    labels = torch.arange(5).repeat(5)
    examples = torch.nn.functional.normalize(torch.randn(25, 64, generator=rng.torch()), dim=-1)
    few, many = (logistic_regression(examples, labels, 5, inverse_penalty=10.0, n_steps=n) for n in (100, 5000))
    torch.testing.assert_close(few, many, atol=1e-3, rtol=1e-3)
