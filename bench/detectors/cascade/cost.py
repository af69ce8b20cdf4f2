"""What a cascade costs: P-Net by the size of the image, R-Net and O-Net by the number of windows they look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bench.cost.complexity import Complexity, measure_complexity
from bench.cost.distribution import CostDistribution

Size = tuple[int, int]
NETWORKS = ("pnet", "rnet", "onet")


class Windows(nn.Module):
    """The networks of a cascade as a module that can be counted: each over images of the sizes given for it."""

    def __init__(self, cascade: Any, sizes: dict[str, Sequence[Size]]) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = cascade.pnet, cascade.rnet, cascade.onet
        self.sizes = sizes

    def components(self) -> dict[str, nn.Module]:
        return {name: self.get_submodule(name) for name in NETWORKS}

    def forward(self, images: Tensor) -> None:
        for name, sizes in self.sizes.items():
            for size in sizes:
                self.get_submodule(name)(images.new_empty(1, 3, *size))


def macs_per_window(cascade: Any) -> dict[str, int]:
    """MACs of one window of each network, by name."""
    sides = {name: getattr(cascade, name).window for name in NETWORKS}
    return measure_complexity(Windows(cascade, {n: [(s, s)] for n, s in sides.items()}), (1, 1)).macs_by_component


def cascade_complexity(cascade: Any, size: Size, levels: Sequence[Size]) -> Complexity:
    """Of the first stage, which an image of `size` costs in any case, and of every window."""
    counted = measure_complexity(Windows(cascade, {"pnet": levels}), size)
    return replace(counted, macs_per_window=macs_per_window(cascade))


@dataclass
class StageTally:
    """How many windows the networks looked at in every image so far."""

    sizes: list[Size] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=lambda: {"rnet": [], "onet": []})
    batch: int = 0  # images of the batch at hand, the last of all

    def images(self, sizes: Sequence[Size]) -> None:
        """Begin a batch of images of these sizes."""
        self.sizes += sizes
        for counts in self.counts.values():
            counts += [0] * len(sizes)
        self.batch = len(sizes)

    def windows(self, network: str, image: Tensor) -> None:
        """Windows of the images of the batch, by their indices."""
        counts, begin = self.counts[network], len(self.sizes) - self.batch
        for index, count in enumerate(torch.bincount(image, minlength=self.batch).tolist()):
            counts[begin + index] += count

    def distribution(self, cascade: Any) -> CostDistribution | None:
        """MACs of the images so far, of all processes, by network and in all; None before the first image."""
        everything = self.of_all_processes()
        if not everything.sizes:
            return None
        window = macs_per_window(cascade)
        first = {size: pyramid_macs(cascade, size) for size in set(everything.sizes)}
        macs = {"pnet": [first[size] for size in everything.sizes]}
        macs |= {name: [count * window[name] for count in counts] for name, counts in everything.counts.items()}
        return CostDistribution.of(macs, everything.counts)

    def of_all_processes(self) -> "StageTally":
        if not (dist.is_available() and dist.is_initialized()):
            return self
        gathered: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(gathered, (self.sizes, self.counts))
        counts = {name: [count for _, part in gathered for count in part[name]] for name in self.counts}
        return StageTally([size for sizes, _ in gathered for size in sizes], counts)


def pyramid_macs(cascade: Any, size: Size) -> int:
    """MACs of P-Net over the levels of an image, by the sizes of its maps: faster than counting every image's size."""
    return sum(level_macs(cascade.pnet, *level) for level in cascade.levels(size))


def level_macs(pnet: Any, height: int, width: int) -> int:
    """Positions of every convolution times its weights."""
    rows, columns = -(-(height - 2) // 2), -(-(width - 2) // 2)  # pooled, rounded up
    heads = [head for head in (pnet.conv4_1, pnet.conv4_2, pnet.conv4_3) if head is not None]
    last = sum(layer.weight.numel() for layer in (pnet.conv3, *heads))
    first, second = pnet.conv1.weight.numel(), pnet.conv2.weight.numel()
    return (height - 2) * (width - 2) * first + (rows - 2) * (columns - 2) * second + (rows - 4) * (columns - 4) * last
