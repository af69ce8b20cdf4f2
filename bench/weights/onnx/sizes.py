"""Sizes inside a graph of any batch and image size, as parts of these: [batch, 24, height/8, width/8].

Found by example: shapes are inferred for some concrete images, and what holds for all of them is taken as the rule.
"""

import copy
from collections.abc import Sequence
from typing import Any

from bench.weights.optional import required

Dimensions = dict[str, list[int | str | None]]  # by tensor; a number, a part of an input's dimension, or None: neither
AXES = ("batch", "height", "width")


def dimensions(model: Any, divisor: int) -> Dimensions:
    """Of every tensor whose shape can be inferred; images are [batch, 3, height, width] with sides of `divisor`."""
    examples = [(2, 3 * divisor, 4 * divisor), (3, 5 * divisor, 7 * divisor), (5, 2 * divisor, divisor)]
    inferred = [shapes(model, *example) for example in examples]
    return {
        name: [rule(sizes, examples) for sizes in zip(*(found[name] for found in inferred), strict=True)]
        for name, shape in inferred[0].items()
        if all(len(found.get(name, [None] * 99)) == len(shape) for found in inferred)
    }


def shapes(model: Any, batch: int, height: int, width: int) -> dict[str, list[int | None]]:
    """Shapes of all tensors for images of one size."""
    copied = copy.deepcopy(model)
    sides = copied.graph.input[0].type.tensor_type.shape.dim
    sides[0].dim_value, sides[2].dim_value, sides[3].dim_value = batch, height, width
    for output in copied.graph.output:
        output.type.tensor_type.ClearField("shape")
    del copied.graph.value_info[:]
    graph = required("onnx").shape_inference.infer_shapes(copied, data_prop=True).graph
    return {
        value.name: [
            side.dim_value if side.HasField("dim_value") else None for side in value.type.tensor_type.shape.dim
        ]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def rule(sizes: Sequence[int | None], examples: Sequence[tuple[int, int, int]]) -> int | str | None:
    """What makes `sizes` of `examples`: always the same number, or a whole part of one of the three."""
    known = [size for size in sizes if size]
    if len(known) < len(examples):
        return None
    if len(set(known)) == 1:
        return known[0]
    for axis, sides in zip(AXES, zip(*examples, strict=True), strict=True):
        parts = {side / size for side, size in zip(sides, known, strict=True)}
        if len(parts) == 1 and min(parts).is_integer():
            return axis if parts == {1.0} else f"{axis}/{min(parts):.0f}"
    return None


def declare(model: Any, found: Dimensions) -> None:
    """Write the sizes of maps into the file, and numbers into its outputs; a runtime plans with them."""
    graph, onnx = model.graph, required("onnx")
    del graph.value_info[:]
    own = {value.name for value in (*graph.input, *graph.output)}
    for name, sides in found.items():
        if len(sides) == 4 and None not in sides and name not in own:
            graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
    for output in graph.output:
        for side, value in zip(output.type.tensor_type.shape.dim, found.get(output.name, ()), strict=False):
            if isinstance(value, int):
                side.dim_value = value
