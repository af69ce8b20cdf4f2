"""Folded norms by hand and in detectors, and the norms that have to stay."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import bench as suite
from bench.errors import WeightsError
from bench.weights.folding import fold_norms, foldable

Moved = Callable[[nn.Module], nn.Module]


@pytest.fixture
def moved(move_norms: Callable[..., None]) -> Moved:
    """The module in evaluation, with norms that do something."""

    def move(module: nn.Module) -> nn.Module:
        move_norms(module)
        return module.eval()

    return move


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def test_one_channel_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    with torch.no_grad():
        for parameter, value in ((net[0].weight, 2), (net[0].bias, 1), (net[1].weight, 3), (net[1].bias, 4)):
            parameter.fill_(value)
        net[1].running_mean.fill_(5)
        net[1].running_var.fill_(4 - net[1].eps)
    folded = fold_norms(net)
    # (2 x + 1 - 5) / sqrt(4) * 3 + 4 = 3 x - 2
    assert folded[0].weight.item() == pytest.approx(3)
    assert folded[0].bias.item() == pytest.approx(-2)
    assert isinstance(folded[1], nn.Identity)
    assert folded(torch.tensor([[[[10.0]]]])).item() == pytest.approx(28)


@pytest.mark.parametrize(("name", "before"), [("scrfd_tiny", 14), ("scrfd_0.5g_kps", 41), ("blazeface_tiny", 21)])
def test_detectors_compute_the_same_without_norms(name: str, before: int, moved: Moved) -> None:
    torch.manual_seed(0)
    detector = moved(suite.create_detector(name))
    state = {key: value.clone() for key, value in detector.state_dict().items()}
    folded = fold_norms(detector)
    assert (norms(detector), norms(folded)) == (before, 0)
    assert all(torch.equal(value, detector.state_dict()[key]) for key, value in state.items())
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = detector.graph_outputs(detector(images)), folded.graph_outputs(folded(images))
    for key, values in expected.items():
        torch.testing.assert_close(found[key], values, atol=1e-5, rtol=1e-4)


def test_depthwise_and_norms_without_weights() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), nn.BatchNorm2d(4, affine=False))
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    net, images = net.eval(), torch.randn(1, 4, 9, 9)
    folded = fold_norms(net)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(images), net(images))


class Kept(nn.Module):
    """Three norms with no place to go: behind a ReLU, behind a convolution that is read twice, on shared weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.shared = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.behind_relu, self.behind_twice, self.one, self.two = (nn.BatchNorm2d(3) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.behind_relu(self.first(x).relu())
        x = self.twice(x)
        x = x + self.behind_twice(x)
        return self.one(self.shared(x)) + self.two(self.shared(x))


def test_norms_that_cannot_go_stay(moved: Moved) -> None:
    net, images = moved(Kept()), torch.randn(2, 3, 5, 5)
    assert foldable(net) == []
    torch.testing.assert_close(fold_norms(net)(images), net(images), atol=0, rtol=0)


class SharedByLevels(nn.Module):
    """One tower, norm included, for two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.tower(x) * self.tower(x + 1)


def test_a_tower_shared_with_its_norm_folds_once(moved: Moved) -> None:
    net, images = moved(SharedByLevels()), torch.randn(1, 3, 4, 4)
    assert foldable(net) == [("tower.0", "tower.1")]
    torch.testing.assert_close(fold_norms(net)(images), net(images))


def test_what_cannot_be_traced_is_refused() -> None:
    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(WeightsError, match="Looks cannot be traced"):
        fold_norms(Looks())
