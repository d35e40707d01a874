"""Rewards of skills, by hand."""

import math

import pytest
import torch

from umeta.functional.skills import (
    displacement_reward,
    dynamics_reward,
    grown_number,
    marginal_reward,
    mixture_reward,
    option_reward,
    skill_reward,
    step_slack,
)


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


def test_an_option_is_rewarded_for_being_told_and_for_being_rare():
    logits = torch.tensor([[0.6, 0.4]]).log()
    prior = torch.tensor([0.9, 0.1]).log()
    assert option_reward(logits, prior, torch.tensor([0])).item() == pytest.approx(math.log(0.6 / 0.9))
    assert option_reward(logits, prior, torch.tensor([1])).item() == pytest.approx(math.log(0.4 / 0.1))


def test_skills_grow_by_half_and_one_once_they_are_told_apart():
    assert [grown_number(n, math.log(0.87), 16) for n in (2, 4, 7, 11, 16)] == [4, 7, 11, 16, 16]
    assert grown_number(4, math.log(0.85), 16) == 4


def test_marginal_reward_grows_with_being_told_apart_and_falls_with_the_density():
    half, sure = torch.zeros(1, 2), torch.tensor([[0.0, 50.0]])
    skill = torch.tensor([1])
    reward = marginal_reward(torch.tensor([-1.0]), torch.tensor([2.0]), half, skill)
    assert reward.item() == pytest.approx(-3)
    assert marginal_reward(torch.tensor([-1.0]), torch.tensor([2.0]), sure, skill).item() == pytest.approx(-3 + math.log(2))


def test_dynamics_reward_is_a_ratio_to_the_mean_over_skills():
    own, others = torch.tensor([0.5]).log(), torch.tensor([[0.1, 0.3]]).log()
    assert dynamics_reward(own, others).item() == pytest.approx(math.log(0.5 / 0.3))
    assert dynamics_reward(own, own.expand(1, 7)).item() == pytest.approx(0)
    assert dynamics_reward(torch.tensor([0.0]), torch.full((1, 3), -200.0)).item() == pytest.approx(math.log(4))


def test_displacement_counts_along_the_skill_and_slack_ends_at_length_1():
    before, after = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.5, 3.0]])
    assert displacement_reward(before, after, torch.tensor([[0.0, -1.0]])).item() == -2
    assert step_slack(before, after).item() == pytest.approx(1 - 4.25)
    assert step_slack(before, before).item() == pytest.approx(1e-3)


def test_mixture_reward_by_hand():
    density, weight = torch.tensor([[0.2, 0.6]]).log(), torch.tensor([0.75, 0.25]).log()
    belongs = 0.15 / (0.15 + 0.15)
    skill = torch.tensor([1])
    assert mixture_reward(density, weight, skill, spread=1.0).item() == pytest.approx(math.log(belongs))
    assert mixture_reward(density, weight, skill, spread=0.5).item() == pytest.approx(math.log(belongs) - 0.5 * math.log(0.6))
