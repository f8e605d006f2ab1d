"""The losses of paper section 4.2, against values worked out by hand."""

import math

import pytest
import torch

from lsp_ros.training.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    head_pose_nll,
    mouth_loss,
)


def test_mouth_loss_is_the_mean_squared_length_of_the_point_errors():
    truth = torch.zeros(2, 3, 75)
    predicted = truth.clone()
    predicted[..., 0:3] = torch.tensor([1.0, 2.0, 2.0])  # one of 25 points is off by 3
    assert mouth_loss(predicted, truth) == pytest.approx(9 / 25)


def test_head_pose_nll_of_a_standard_normal():
    zeros = torch.zeros(1, 4, 12)
    assert head_pose_nll(zeros, zeros, zeros) == pytest.approx(0.5 * math.log(2 * math.pi))
    assert head_pose_nll(zeros, zeros, zeros + 2) == pytest.approx(0.5 * math.log(2 * math.pi) + 2)


def test_head_pose_nll_agrees_with_torchs_normal():
    torch.manual_seed(0)
    mean, n, truth = torch.randn(2, 5, 12), torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    expected = -torch.distributions.Normal(mean, (-n).exp()).log_prob(truth).mean()
    assert head_pose_nll(mean, n, truth) == pytest.approx(float(expected), rel=1e-5)


def test_head_pose_nll_gains_nothing_below_the_smallest_sigma():
    zeros = torch.zeros(1, 1, 12)
    at_the_limit = head_pose_nll(zeros, zeros + math.log(1 / 0.03), zeros)
    assert head_pose_nll(zeros, zeros + 50, zeros) == at_the_limit
    assert at_the_limit == pytest.approx(0.5 * math.log(2 * math.pi) + math.log(0.03))


def test_head_pose_nll_has_a_smallest_sigma_for_each_number():
    smallest = torch.tensor([0.03, 0.0003])
    confident, zeros = torch.full((1, 1, 2), 50.0), torch.zeros(1, 1, 2)
    expected = 0.5 * math.log(2 * math.pi) + (math.log(0.03) + math.log(0.0003)) / 2
    assert head_pose_nll(zeros, confident, zeros, smallest) == pytest.approx(expected)


def verdicts(*values):
    """One scale a value, its features 1, 2 and its verdict."""
    return [[torch.full((1, 2, 4, 4), 1.0), torch.full((1, 2, 2, 2), 2.0), torch.full((1, 1, 3, 3), v)] for v in values]


def test_discriminator_loss_is_zero_for_a_perfect_judge_and_summed_over_scales():
    assert discriminator_loss(verdicts(1.0, 1.0), verdicts(0.0, 0.0)) == 0
    assert discriminator_loss(verdicts(0.0, 0.5), verdicts(1.0, 0.5)) == pytest.approx(1 + 1 + 0.25 + 0.25)


def test_adversarial_loss_wants_verdicts_of_one():
    assert adversarial_loss(verdicts(1.0, 1.0)) == 0
    assert adversarial_loss(verdicts(0.0, 3.0)) == pytest.approx(1 + 4)


def test_feature_matching_looks_at_inner_features_alone():
    real, fake = verdicts(1.0, 1.0), verdicts(-7.0, 9.0)
    assert feature_matching_loss(real, fake) == 0
    fake[1][0] += 0.5
    fake[1][1] -= 0.25
    assert feature_matching_loss(real, fake) == pytest.approx(0.75)


def test_feature_matching_teaches_the_generator_alone():
    real = [[torch.ones(1, requires_grad=True), torch.zeros(1)]]
    fake = [[torch.zeros(1, requires_grad=True), torch.zeros(1)]]
    feature_matching_loss(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad is not None
