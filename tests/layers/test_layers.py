"""What backbones, necks and heads are made of: kinds and shapes, first weights, the prior."""

import math

import pytest
import torch
from torch import nn

from bench.layers.convolution import conv_norm
from bench.layers.initialisation import kaiming, xavier
from bench.layers.prior import prior_bias
from bench.layers.separable import separable


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_a_convolution_before_a_norm_has_no_bias(norm, kind) -> None:
    convolution, normalize = conv_norm(4, 6, 3, norm, groups=2)
    assert convolution.bias is None
    assert isinstance(normalize, kind)


def test_the_folded_form_is_one_convolution_with_bias() -> None:
    (convolution,) = conv_norm(4, 6, 3, None)
    assert convolution.bias is not None


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_sides_are_rounded_up_by_the_stride(kernel: int) -> None:
    assert conv_norm(2, 6, kernel, stride=2)(torch.zeros(2, 2, 7, 8)).shape == (2, 6, 4, 4)


def test_a_depthwise_convolution_keeps_channels_apart() -> None:
    """A kernel a channel: 4 x 9 weights, and a change of channel 1 moves channel 1 alone."""
    layer = conv_norm(4, 4, 3, depthwise=True)
    assert layer[0].weight.numel() == 36
    image = torch.zeros(1, 4, 3, 3)
    image[:, 1] = 1
    moved = (layer[0](image) != 0).any(dim=-1).any(dim=-1)
    assert moved.tolist() == [[False, True, False, False]]


def test_separable_layers_in_order() -> None:
    layer = separable(4, 6, stride=2)
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(module) for module in layer] == kinds
    assert [tuple(layer[place].weight.shape) for place in (0, 3)] == [(4, 1, 3, 3), (6, 4, 1, 1)]
    assert layer(torch.zeros(1, 4, 5, 5)).shape == (1, 6, 3, 3)


def test_the_prior_is_the_score_before_training() -> None:
    """log(0.01 / 0.99) = -4.5951, whose sigmoid is 0.01."""
    assert prior_bias(0.01) == pytest.approx(-4.59512, abs=1e-5)
    assert 1 / (1 + math.exp(-prior_bias(0.2))) == pytest.approx(0.2)


def test_first_weights_have_the_spread_of_their_paper() -> None:
    """Kaiming from the fan out, 64 x 9 = 576: std = sqrt(2 / 576) = 0.0589. Xavier: limit = sqrt(6 / (288 + 576))."""
    convolution = nn.Conv2d(32, 64, 3)
    kaiming(nn.Sequential(convolution))
    assert convolution.weight.std().item() == pytest.approx(0.0589, rel=0.05)
    xavier(nn.Sequential(convolution))
    assert convolution.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 864), rel=0.01)
    assert not convolution.bias.any()
