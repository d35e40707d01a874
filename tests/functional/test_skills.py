"""Rewards of skills, by hand."""

import math

import pytest
import torch

from umeta.functional.skills import skill_reward


def test_skill_reward_is_0_at_chance_and_at_most_log_n():
    assert skill_reward(torch.zeros(1, 4), torch.tensor([2])).item() == 0
    sure = torch.tensor([[50.0, 0.0, 0.0, 0.0]])
    assert skill_reward(sure, torch.tensor([0])).item() == pytest.approx(math.log(4))
    assert skill_reward(sure, torch.tensor([1])).item() == pytest.approx(math.log(4) - 50)


def test_the_mean_skill_reward_of_a_right_guess_is_the_information():
    posterior = torch.tensor([[0.7, 0.2, 0.1]])
    mean = sum(posterior[0, z] * skill_reward(posterior.log(), torch.tensor([z]))[0] for z in range(3))
    entropy = -(posterior * posterior.log()).sum()
    assert mean.item() == pytest.approx(math.log(3) - entropy.item())
