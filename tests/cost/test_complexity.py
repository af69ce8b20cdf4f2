"""MACs and parameters against hand counts, torch's own totals and the exactness of the split."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import DeformConv2d

from bench.cost.complexity import measure_complexity, summed
from bench.cost.isolation import CostError


class Wrapped(nn.Module):
    """Any layer as a detector of one component, "net"."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def components(self) -> dict[str, nn.Module]:
        return {"net": self.net}

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


class Deformable(nn.Module):
    """A deformable 3x3 convolution, 3 -> 8, with offsets that cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = DeformConv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, x.new_zeros(x.shape[0], 18, *x.shape[-2:]))


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)  # [1, 12, 3]
        return torch.matmul(tokens, tokens.transpose(1, 2))


class Detector(nn.Module):
    """Stem, a head shared over three levels with a norm per level, a functional convolution outside components."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, 4, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(2, 4) for _ in range(3))
        self.loose = nn.Parameter(torch.ones(8, 1, 3, 3))

    def components(self) -> dict[str, nn.Module]:
        return {"stem": self.stem, "head": nn.ModuleList([self.head, self.norms])}

    def forward(self, images: Tensor) -> list[Tensor]:
        feature = F.conv2d(self.stem(images), self.loose, padding=1, groups=8)
        levels = [F.max_pool2d(feature, 2**level, 2**level) if level else feature for level in range(3)]
        return [norm(self.head(level)) for level, norm in zip(levels, self.norms, strict=True)]


# images [1, 3, 8, 6]: 48 positions
HAND_COUNTS = {
    "conv": (nn.Conv2d(3, 8, 3, padding=1), 48 * 8 * 3 * 9),
    "strided_conv": (nn.Conv2d(3, 8, 3, stride=2, padding=1), 12 * 8 * 3 * 9),
    "depthwise": (nn.Conv2d(3, 3, 5, padding=2, groups=3), 48 * 3 * 25),
    "grouped": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 3, padding=1, groups=2)), 48 * (12 + 6 * 2 * 9)),
    "transposed": (nn.ConvTranspose2d(3, 5, 2, stride=2), 48 * 3 * 5 * 4),  # each input position spreads the kernel
    "linear": (nn.Linear(6, 7), 3 * 8 * 6 * 7),  # over the last axis, 24 rows
    "deformable": (Deformable(), 48 * 8 * 3 * 9),
    "matmul": (nn.Sequential(nn.MaxPool2d(2), Attention()), 12 * 3 * 12),
    "not_counted": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)), 0),
}


@pytest.mark.parametrize("name", HAND_COUNTS)
def test_macs_by_hand(name: str) -> None:
    layer, expected = HAND_COUNTS[name]
    found = measure_complexity(Wrapped(layer), (8, 6))
    assert found.macs == expected
    assert found.flops == 2 * expected
    assert found.macs_by_component == {"net": expected}
    assert found.params == sum(parameter.numel() for parameter in layer.parameters())


def test_split_by_component_and_shared_head() -> None:
    found = measure_complexity(Detector(), (16, 16))
    # stem 8x8 out; loose depthwise 3x3 at 8x8; head 1x1 8 -> 4 at 8x8, 4x4, 2x2 = 84 positions
    assert found.macs_by_component == {"stem": 64 * 8 * 27, "head": 84 * 32, "other": 64 * 8 * 9}
    assert found.params_by_component == {"stem": 216 + 16, "head": 32 + 4 + 3 * 8, "other": 72}
    assert found.macs == sum(found.macs_by_component.values())
    assert found.params == sum(found.params_by_component.values()) == sum(p.numel() for p in Detector().parameters())
    assert found.norm_elements == 64 * 8 + 84 * 4


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.InstanceNorm2d(3), nn.LayerNorm((8, 6))])
def test_norm_elements(norm: nn.Module) -> None:
    found = measure_complexity(Wrapped(norm), (8, 6))
    assert (found.norm_elements, found.macs) == (3 * 48, 0)


def test_total_is_torchs_own_on_real_tensors() -> None:
    detector = Detector().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        detector(torch.zeros(1, 3, 40, 24))
    assert measure_complexity(detector, (40, 24)).flops == counter.get_total_flops() > 0


def test_the_detector_is_untouched() -> None:
    detector = Detector().train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    identities = [id(parameter) for parameter in detector.parameters()]
    measure_complexity(detector, (16, 16))
    assert [id(parameter) for parameter in detector.parameters()] == identities
    assert all(module.training and not module._forward_hooks for module in detector.modules())
    after = detector.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_trainer_is_not_copied() -> None:
    class Uncopyable:
        def __deepcopy__(self, memo: dict) -> None:
            raise AssertionError("the trainer was copied")

    detector = Detector()
    detector._trainer = Uncopyable()
    assert measure_complexity(detector, (16, 16)).macs > 0


def test_tied_parameters_count_once() -> None:
    detector = Wrapped(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)))
    detector.net[1].weight = detector.net[0].weight
    found = measure_complexity(detector, (8, 6))
    assert (found.params, found.macs) == (9 + 3 + 3, 2 * 48 * 9)


def test_a_shared_activation_is_no_overlap() -> None:
    class Shared(Wrapped):
        def __init__(self) -> None:
            act = nn.ReLU()
            super().__init__(nn.Sequential(nn.Conv2d(3, 3, 1), act))
            self.head = nn.Sequential(nn.Conv2d(3, 2, 1), act)

        def components(self) -> dict[str, nn.Module]:
            return {"net": self.net, "head": self.head}

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.net(images))

    assert measure_complexity(Shared(), (8, 6)).macs_by_component == {"net": 48 * 9, "head": 48 * 6}


def components_of(detector: nn.Module, components: dict[str, nn.Module]) -> nn.Module:
    detector.components = lambda: components
    return detector


@pytest.mark.parametrize("order", [("stem", "conv"), ("conv", "stem")])
def test_nested_components_are_an_error(order: tuple[str, str]) -> None:
    class Nested(Detector):
        def components(self) -> dict[str, nn.Module]:
            parts = {"stem": self.stem, "conv": self.stem[0]}
            return {name: parts[name] for name in order}

    with pytest.raises(CostError, match="overlap"):
        measure_complexity(Nested(), (16, 16))


def test_foreign_component_and_reserved_name_are_errors() -> None:
    with pytest.raises(CostError, match="not the detector's own"):
        measure_complexity(components_of(Detector(), {"net": nn.Linear(2, 2)}), (16, 16))
    with pytest.raises(CostError, match="other"):
        measure_complexity(components_of(Detector(), {"other": nn.Linear(2, 2)}), (16, 16))


def test_forward_that_reads_values_is_an_error() -> None:
    class Reads(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.max().item() > 0 else -x

    with pytest.raises(CostError, match="meta device"):
        measure_complexity(Wrapped(Reads()), (8, 6))


@pytest.mark.parametrize("size", [(0, 8), (8, 6.5), (8,)])
def test_bad_input_size(size: tuple) -> None:
    with pytest.raises(CostError, match="input size"):
        measure_complexity(Detector(), size)


def test_metrics_keys() -> None:
    flat = measure_complexity(Detector(), (16, 16)).metrics()
    assert flat["model/params"] == 364
    assert flat["model/gmacs"] == flat["model/gflops"] / 2 == pytest.approx(21120e-9, rel=1e-12)
    assert flat["model/gmacs_head"] == 84 * 32 / 1e9
    assert set(flat) >= {"model/params_stem", "model/gmacs_other", "model/norm_elements"}


def test_counts_are_what_a_record_keeps() -> None:
    found = measure_complexity(Detector(), (16, 16))
    assert found.counts() == {
        "input_size": (16, 16),
        "params": 364,
        "macs": 21120,
        "flops": 42240,
        "params_by_component": {"stem": 232, "head": 60, "other": 72},
        "macs_by_component": {"stem": 13824, "head": 2688, "other": 4608},
        "looks": (),
        "macs_per_window": {},
        "distribution": None,
    }


def test_macs_of_components_together() -> None:
    found = measure_complexity(Detector(), (16, 16))
    assert found.macs_of(("stem", "head")) == 13824 + 2688
    assert found.macs_of(()) is None  # no backbone has no cost, not a cost of 0


def test_looks_add_up_to_one_image() -> None:
    """Plain at 16 x 16 twice and at 32 x 32, four times as much: six times the operations, once the parameters."""
    small, large = (measure_complexity(Detector(), (side, side)) for side in (16, 32))
    found = summed([small, large, small])
    assert large.macs == 4 * small.macs
    assert found.macs == sum(found.macs_by_component.values()) == 6 * small.macs
    assert found.flops == 12 * small.macs
    assert found.macs_by_component == {name: 6 * count for name, count in small.macs_by_component.items()}
    assert found.norm_elements == 6 * small.norm_elements
    assert (found.params, found.params_by_component) == (small.params, small.params_by_component)
    assert found.input_size == (32, 32)
    assert found.looks == ((16, 16), (32, 32), (16, 16))
    assert summed([small]).macs == small.macs
