"""Parameters and multiply-accumulates (MACs) of a detector, split by component, from shapes alone.

Counted with `torch.utils.flop_counter` on the eager module on the meta device; 1 MAC = 2 FLOPs. The "GFLOPs" printed in
the SCRFD and EfficientDet papers are (nearly) what is called MACs here: SCRFD's tool, mmcv's counter, adds to them
biases, batch norm (2 per element) and ReLU (1 per element), about 1.3 % at 2.5 GF.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any, Protocol, cast

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.cost.distribution import CostDistribution
from bench.cost.isolation import CostError, check_input_size, meta_copy, run_on_meta

OTHER = "other"

NORM_OPS = tuple(
    getattr(torch.ops.aten, name)
    for name in ("native_batch_norm", "native_group_norm", "native_layer_norm", "_fused_rms_norm")
    if hasattr(torch.ops.aten, name)
)


class HasComponents(Protocol):
    """What `measure_complexity` asks of a detector besides being a module with forward(images)."""

    def components(self) -> Mapping[str, nn.Module]: ...


@dataclass(frozen=True)
class Complexity:
    """Cost of one image; both splits sum exactly to their totals.

    `norm_elements` is the number of elements that pass through normalisation layers, which `macs` leaves out.
    Work or parameters outside every component appear under "other", which is absent when there are none. Where an image
    is seen in several `looks`, the operations are the sum over them, and `input_size` is that of the largest. Of
    a cascade, `macs` are the first component's, which every image costs, `macs_per_window` those of a window of each.
    """

    input_size: tuple[int, int]  # (H, W)
    params: int
    macs: int
    params_by_component: dict[str, int]
    macs_by_component: dict[str, int]
    norm_elements: int
    looks: tuple[tuple[int, int], ...] = ()  # (H, W) each
    macs_per_window: dict[str, int] = field(default_factory=dict)
    distribution: CostDistribution | None = None  # over the images of an evaluation

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def counts(self) -> dict[str, Any]:
        """What a record keeps of it as its cost, and `bench profile` tells, under the names that both use."""
        return {
            "input_size": self.input_size,
            "params": self.params,
            "macs": self.macs,
            "flops": self.flops,
            "params_by_component": self.params_by_component,
            "macs_by_component": self.macs_by_component,
            "looks": self.looks,
            "macs_per_window": self.macs_per_window,
            "distribution": None if self.distribution is None else self.distribution.values(),
        }

    def macs_of(self, components: Sequence[str]) -> int | None:
        """Of several components together, the backbone's say; None for none."""
        return sum(self.macs_by_component[name] for name in components) if components else None

    def metrics(self) -> dict[str, float]:
        """Flat record keys: `model/params`, `model/gmacs`, `model/gflops` and `.._<component>` for the split."""
        flat: dict[str, float] = {
            "model/params": self.params,
            "model/gmacs": self.macs / 1e9,
            "model/gflops": self.flops / 1e9,
            "model/norm_elements": self.norm_elements,
        }
        flat |= {f"model/params_{name}": count for name, count in self.params_by_component.items()}
        flat |= {f"model/gmacs_{name}": count / 1e9 for name, count in self.macs_by_component.items()}
        return flat


def measure_complexity(detector: nn.Module, input_size: tuple[int, int]) -> Complexity:
    """Count `detector` for one image of `input_size` (H, W) in pixels, in eval mode, leaving it untouched.

    Counted as MACs: convolutions (plain, grouped, depthwise, transposed, deformable), linear layers, matrix products
    and attention, functional calls and modules used several times included. Not counted: normalisation (see
    `Complexity.norm_elements`), activations, biases, pooling, resizing, element-wise arithmetic, and a deformable
    convolution's bilinear sampling.

    `detector.components()` names disjoint submodules; an op belongs to the innermost component being called.
    Raises CostError if components overlap or hold foreign parameters, or if forward needs values, not just shapes.
    """
    height, width = check_input_size(input_size)
    copied = meta_copy(detector)
    components = cast(HasComponents, copied).components()
    owners = _owners(components)
    params = _split_parameters(copied, components)
    macs, norm_elements = _split_macs(copied, owners, (height, width))
    return Complexity(
        input_size=(height, width),
        params=sum(params.values()),
        macs=sum(macs.values()),
        params_by_component=_in_order(params, components),
        macs_by_component=_in_order(macs, components),
        norm_elements=norm_elements,
    )


def summed(looks: Sequence[Complexity]) -> Complexity:
    """One detector's cost of an image that it sees in several looks."""
    largest = max(looks, key=lambda look: prod(look.input_size))
    macs: Counter[str] = Counter()
    for look in looks:
        macs.update(look.macs_by_component)
    return replace(
        largest,
        macs=sum(look.macs for look in looks),
        macs_by_component={name: macs[name] for name in largest.macs_by_component},
        norm_elements=sum(look.norm_elements for look in looks),
        looks=tuple(look.input_size for look in looks),
    )


def _owners(components: Mapping[str, nn.Module]) -> dict[nn.Module, str]:
    """Each module of each component -> the component's name; parameterless modules may be shared and have no owner."""
    if OTHER in components:
        raise CostError(f'no component may be called "{OTHER}": that name holds what is in no component')
    named = set(components.values())
    owners: dict[nn.Module, str] = {}
    shared: set[nn.Module] = set()
    for name, component in components.items():
        for module in component.modules():
            other = owners.setdefault(module, name)
            if other == name:
                continue
            if module in named or next(module.parameters(), None) is not None:
                raise CostError(
                    f"components must not overlap: {type(module).__name__} is in both {other!r} and {name!r}; "
                    "let components() return each part of the network once"
                )
            shared.add(module)  # one activation object used everywhere, say
    return {module: name for module, name in owners.items() if module not in shared}


def _split_parameters(detector: nn.Module, components: Mapping[str, nn.Module]) -> Counter[str]:
    """Number of parameters by component; a tensor tied between components counts once, for the first of them."""
    left = set(detector.parameters())
    foreign_to = left.copy()
    counts: Counter[str] = Counter()
    for name, component in components.items():
        for parameter in component.parameters():
            if parameter not in foreign_to:
                raise CostError(f"component {name!r} holds parameters that are not the detector's own")
            if parameter in left:
                left.remove(parameter)
                counts[name] += parameter.numel()
    counts[OTHER] = sum(parameter.numel() for parameter in left)
    return counts


def _split_macs(
    detector: nn.Module, owners: Mapping[nn.Module, str], size: tuple[int, int]
) -> tuple[Counter[str], int]:
    """Run once on meta -> (MACs by component, elements through norms)."""
    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    meter = _Meter(counter)
    for module, name in owners.items():
        module.register_forward_pre_hook(partial(meter.enter, name))
        module.register_forward_hook(meter.leave)
    with counter:
        run_on_meta(detector, torch.empty(1, 3, *size, device="meta"))
    meter.settle()
    return meter.macs, sum(_counts(counter).get(op, 0) for op in NORM_OPS)


class _Meter:
    """Shares out a running total: what was added since the last boundary belongs to the component then active."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.macs: Counter[str] = Counter()
        self._counter = counter
        self._active = [OTHER]
        self._settled = 0

    def settle(self) -> None:
        flops = sum(count for op, count in _counts(self._counter).items() if op not in NORM_OPS)
        self.macs[self._active[-1]] += flops // 2 - self._settled
        self._settled = flops // 2

    def enter(self, name: str, *_: Any) -> None:
        self.settle()
        self._active.append(name)

    def leave(self, *_: Any) -> None:
        self.settle()
        self._active.pop()


def _counts(counter: FlopCounterMode) -> dict[Any, int]:
    return counter.get_flop_counts().get("Global", {})


def _formulas() -> dict[Any, Any]:
    """Formulas beside torch's own; norms report elements, which `_Meter` keeps out of the MACs."""
    return {torch.ops.torchvision.deform_conv2d: _deform_conv_flops} | dict.fromkeys(NORM_OPS, _norm_elements)


def _deform_conv_flops(_input: list[int], weight: list[int], *_: Any, out_shape: list[int], **__: Any) -> int:
    """As a plain convolution: weight [Cout, Cin / groups, kh, kw] applied at every output position [B, Cout, H, W]."""
    return 2 * out_shape[0] * prod(out_shape[2:]) * prod(weight)


def _norm_elements(input_shape: list[int], *_: Any, **__: Any) -> int:
    return prod(input_shape)


def _in_order(counts: Mapping[str, int], components: Mapping[str, nn.Module]) -> dict[str, int]:
    """Every component in the detector's order, then "other" if there is any."""
    ordered = {name: counts.get(name, 0) for name in components}
    return ordered | ({OTHER: counts[OTHER]} if counts.get(OTHER) else {})
