"""What two networks are compared by: their operators that hold weights, and how data flows between these.

Names differ between exporters and even between releases; the structure does not. Each graph, a published file's or our
module's, is reduced to a list of `Operator`s in the order of execution. Two lists describe the same network when kinds,
shapes, geometry and sources agree one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeVar

import numpy as np

INPUT = -1  # the source that stands for the image


@dataclass(frozen=True)
class Operator:
    """A convolution (its folded batch norm included), a group norm, a scalar factor, or another layer with weights.

    Attributes:
        kind: "conv", "scale", or the lower-case name of the layer.
        name: for messages only.
        shape: of its weight; None for a norm that only normalises.
        stride, padding, dilation: of a convolution; padding is top, left, bottom, right.
        groups: of a convolution or a group norm.
        epsilon: of a group norm, as `single` gives it.
        sources: indices of the operators whose results reach it through operators without weights.
        through: the kinds of these operators without weights, sorted.
    """

    kind: str
    name: str
    shape: tuple[int, ...] | None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    epsilon: float | None = None
    sources: frozenset[int] = frozenset()
    through: tuple[str, ...] = ()


def single(value: float) -> float:
    """A number as files keep it, in 32 bits, so that equal ones compare equal."""
    return float(np.float32(value))


@dataclass
class Flow:
    """What stands behind a tensor: operators with weights, and the ones without weights on the way to them."""

    sources: frozenset[int] = frozenset()
    steps: dict[object, str] = field(default_factory=dict)  # node -> kind; a node that is met twice counts once

    def after(self, node: object, kind: str) -> "Flow":
        return Flow(self.sources, self.steps | {node: kind})

    @property
    def through(self) -> tuple[str, ...]:
        return tuple(sorted(self.steps.values()))


def merge(flows: Sequence[Flow]) -> Flow:
    sources: frozenset[int] = frozenset().union(*(flow.sources for flow in flows))
    steps: dict[object, str] = {}
    for flow in flows:
        steps |= flow.steps
    return Flow(sources, steps)


T = TypeVar("T")


def convolutions_first(found: Sequence[tuple[Operator, T]]) -> list[tuple[Operator, T]]:
    """The operators with their companions: convolutions, then other layers, then scalar factors.

    A factor on one branch may be computed before or after the convolution of another; that order means nothing.
    """
    rank = {"conv": 0, "scale": 2}
    order = sorted(range(len(found)), key=lambda index: rank.get(found[index][0].kind, 1))
    place = {INPUT: INPUT} | {old: new for new, old in enumerate(order)}
    return [
        (replace(found[old][0], sources=frozenset(place[source] for source in found[old][0].sources)), found[old][1])
        for old in order
    ]


# What is compared, and how it is called in a message.
COMPARED = {
    "kind": "a",
    "shape": "weight",
    "stride": "stride",
    "padding": "padding",
    "dilation": "dilation",
    "groups": "groups",
    "epsilon": "epsilon",
    "sources": "inputs from operators",
    "through": "before it",
}


def mismatches(expected: Sequence[Operator], found: Sequence[Operator]) -> list[str]:
    """One line for each operator of `found` that is not the one of `expected` at its place; empty when all fit."""
    lines = []
    for index, (own, other) in enumerate(zip_longest(expected, found)):
        if other is None:
            lines.append(f"operator {index}: missing {own.kind} {own.name} {own.shape}")
        elif own is None:
            lines.append(f"operator {index}: unexpected {other.kind} {other.name} {other.shape}")
        else:
            differing = [key for key in COMPARED if getattr(own, key) != getattr(other, key)]
            if differing:
                wanted = ", ".join(f"{COMPARED[key]} {told(getattr(own, key))}" for key in differing)
                got = ", ".join(f"{COMPARED[key]} {told(getattr(other, key))}" for key in differing)
                lines.append(f"operator {index}: {other.name} has {got}; {own.name} expects {wanted}")
    return lines


def told(value: object) -> str:
    if isinstance(value, frozenset):
        return str(sorted("image" if source == INPUT else str(source) for source in value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
