"""Group norms of an ONNX graph, which has an operator of that name only since opset 21.

For maps x [B, C, H, W] in G groups exporters write

    Reshape                x -> [B, G, rest]
    InstanceNormalization  mean 0 and variance 1 for each image and group; its own factors and offsets [G] are 1 and 0
    Reshape                back to the shape of x
    Mul, Add               weight and bias [C, 1, 1]; left out, or single numbers 1 and 0, where the norm has none

or `GroupNormalization`, with factors and offsets [C]. Factors and offsets that follow each other are one weight and one
bias: (y s + b) w + c = y (s w) + (b w + c).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import WeightsError
from bench.weights.onnx.constants import Constants
from bench.weights.onnx.graph_edit import readers_of
from bench.weights.operators import single

CORES = ("InstanceNormalization", "GroupNormalization")
BATCH = (0, 1)  # as a Reshape's target: the batch as it is, or the single image of a graph of fixed size
DEFAULT_EPSILON = 1e-5  # of both operators


@dataclass(frozen=True)
class GroupNorm:
    """What nodes of the graph compute together.

    Attributes:
        name: for messages only.
        source, result: names of the maps that it reads and makes.
        inside: names of what its nodes make on the way and of which nobody else need know.
        weight, bias: [C], or None where it only normalises.
    """

    name: str
    source: str
    result: str
    inside: frozenset[str]
    groups: int
    epsilon: float
    weight: NDArray[np.float32] | None
    bias: NDArray[np.float32] | None


def group_norms(graph: Any, constants: Constants, path: Path) -> list[GroupNorm]:
    """All of a graph, in the order of execution.

    Raises:
        WeightsError: an instance norm is no part of a group norm; `path` is for its message.
    """
    finder = _Finder(graph, constants, path)
    return [finder.group_norm(node) for node in graph.node if node.op_type in CORES]


class _Finder:
    def __init__(self, graph: Any, constants: Constants, path: Path) -> None:
        self.constants = constants
        self.path = path
        self.makers = {output: node for node in graph.node for output in node.output}
        self.readers = readers_of(graph.node, graph.output)

    def group_norm(self, core: Any) -> GroupNorm:
        source, result, groups = self.normalised(core)
        channels = self.channels(core, source)
        weight, bias = (self.own_numbers(core, name, groups, channels) for name in core.input[1:])
        written = core.op_type == "GroupNormalization"  # so that weight and bias exist, be they 1 and 0
        inside = {core.output[0]}
        for kind, name, values in self.following(result, channels):
            weight, bias = (weight * values, bias * values) if kind == "Mul" else (weight, bias + values)
            written = written or len(values) > 1
            inside.add(result)
            result = name
        affine = written or bool((weight != 1).any() or (bias != 0).any())
        return GroupNorm(
            name=f"{core.op_type} {core.output[0]}",
            source=source,
            result=result,
            inside=frozenset(inside - {result}),
            groups=groups,
            epsilon=single(next((a.f for a in core.attribute if a.name == "epsilon"), DEFAULT_EPSILON)),
            weight=weight.astype(np.float32) if affine else None,
            bias=bias.astype(np.float32) if affine else None,
        )

    def normalised(self, core: Any) -> tuple[str, str, int]:
        """Names of the maps before and after `core` and its reshapes, and the number of groups."""
        if core.op_type == "GroupNormalization":
            return core.input[0], core.output[0], next(int(a.i) for a in core.attribute if a.name == "num_groups")
        before, after = self.makers.get(core.input[0]), self.only_reader(core.output[0], "Reshape")
        if before is None or before.op_type != "Reshape" or after is None or len(after.input) != 2:
            raise self.refusal(core, "it is not between reshapes")
        groups = self.constants.get(core.input[1], np.zeros(0)).size
        shape = self.constants.get(before.input[1], np.zeros(0)).tolist()
        if len(shape) < 3 or shape[0] not in BATCH or shape[1] != groups or not groups:
            raise self.refusal(core, f"the Reshape before it, for {groups} groups, is to {shape or 'a computed shape'}")
        if not self.restores(after.input[1], before.input[0], self.channels(core, before.input[0])):
            raise self.refusal(core, "the Reshape after it is not back to the shape of the map")
        return before.input[0], after.output[0], groups

    def restores(self, shape: str, source: str, channels: int) -> bool:
        """Whether it is the shape of `source`: asked for, or a constant in a graph of fixed size."""
        if shape in self.constants:
            sides = self.constants[shape].tolist()
            return len(sides) == 4 and sides[0] in BATCH and sides[1] == channels
        maker = self.makers.get(shape)
        return maker is not None and maker.op_type == "Shape" and maker.input[0] == source and not maker.attribute

    def channels(self, core: Any, source: str) -> int:
        maker = self.makers.get(source)
        if maker is None or maker.op_type != "Conv" or maker.input[1] not in self.constants:
            raise self.refusal(core, "no convolution is right before it")
        return len(self.constants[maker.input[1]])

    def own_numbers(self, core: Any, name: str, groups: int, channels: int) -> NDArray[np.float64]:
        """The core's factors or offsets, for each channel: [C]"""
        values = self.constants.get(name, np.zeros(0)).astype(np.float64)
        wanted = groups if core.op_type == "InstanceNormalization" else channels
        if values.shape != (wanted,) or channels % groups:
            raise self.refusal(core, f"{name} is {values.shape}, of {channels} channels in {groups} groups")
        return np.repeat(values, channels // wanted)

    def following(self, name: str, channels: int) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
        """Of a Mul and an Add right behind `name`: the kind, the name of the result, and its numbers [C] or [1].

        A single number without axes is not the norm's: it belongs to a layer that scales.
        """
        for kind in ("Mul", "Add"):
            node = self.only_reader(name, kind)
            other = [] if node is None else [operand for operand in node.input if operand in self.constants]
            values = self.constants[other[0]] if other else np.zeros(0)
            if values.shape[-3:] in ((channels, 1, 1), (1, 1, 1)) and values.size == values.shape[-3]:
                name = node.output[0]
                yield kind, name, values.reshape(-1).astype(np.float64)

    def only_reader(self, name: str, kind: str) -> Any:
        """The node of that kind that alone reads `name`, or None."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and readers[0] is not None and readers[0].op_type == kind else None

    def refusal(self, core: Any, reason: str) -> WeightsError:
        return WeightsError(
            f"{self.path}: {core.op_type} {core.output[0]}: expected a group norm behind a convolution (Reshape to "
            f"[batch, groups, rest], InstanceNormalization, Reshape back; or GroupNormalization); found that {reason}"
        )
