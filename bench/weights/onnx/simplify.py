"""What an exported graph can do without: sizes computed at run time, factors, and several convolutions of one input.

Each step keeps the function, for images whose sides are multiples of the detector's divisor, and helps the runtime: a
constant size lets onnxruntime keep its own layout of the maps, and predictors of 2, 8 and 20 channels cost it 16, 16
and 32, together only 32. What a graph does not offer is left alone.
"""

from typing import Any

import numpy as np

from bench.weights.onnx.blocks import widen
from bench.weights.onnx.graph_edit import Graph, group_of, is_convolution
from bench.weights.onnx.sizes import Dimensions, declare, dimensions
from bench.weights.optional import required

ROWS_LAST = [0, 2, 3, 1]  # [B, C, H, W] -> [B, H, W, C]


def simplify(model: Any, divisor: int, channel_block: int = 1) -> None:
    """Rewrite the model in place.

    Args:
        divisor: the sides of its images are multiples of this.
        channel_block: as many channels, or a multiple, get the maps inside (`blocks`).
    """
    graph = Graph(model.graph)
    found = dimensions(model, divisor)
    fix_reshapes(graph, found)
    fix_resizes(graph, found)
    graph.prune()  # of what computed the sizes
    fold_factors(graph)
    merge_siblings(graph)
    widen(graph, channel_block)
    graph.write()
    declare(model, dimensions(model, divisor))
    required("onnx").checker.check_model(model, full_check=True)


def fix_reshapes(graph: Graph, found: Dimensions) -> None:
    """[B, ..] -> [B, rows, width]: the batch is copied, the rows follow, so that only the width has to be told."""
    for node in graph.nodes:
        after = found.get(node.output[0])
        if (
            node.op_type == "Reshape"
            and after
            and len(after) == 3
            and after[0] == "batch"
            and isinstance(after[2], int)
        ):
            node.input[1] = graph.add(f"{node.output[0]}/shape", np.array([0, -1, after[2]], np.int64))


def fix_resizes(graph: Graph, found: Dimensions) -> None:
    """To the size of another map -> by a factor, where that is always the same."""
    for node in graph.nodes:
        if node.op_type != "Resize" or len(node.input) != 4 or not node.input[3]:
            continue
        before, after = found.get(node.input[0]), found.get(node.output[0])
        factors = [ratio(a, b) for a, b in zip(after, before, strict=True)] if before and after else [None]
        if None not in factors:
            scales = graph.add(f"{node.output[0]}/scales", np.array(factors, np.float32))
            node.input[:] = [node.input[0], "", scales]


def ratio(after: int | str | None, before: int | str | None) -> float | None:
    """Of dimensions such as "height/8" and "height/16"."""
    if after == before and after is not None:
        return 1.0
    if not isinstance(after, str) or not isinstance(before, str):
        return None
    (one, _, first), (two, _, second) = after.partition("/"), before.partition("/")
    return int(second or 1) / int(first or 1) if one == two else None


def fold_factors(graph: Graph) -> None:
    """A constant factor behind a convolution goes into its weights (SCRFD's scale of the box output)."""
    readers = graph.readers()
    convolutions = {node.output[0]: node for node in graph.nodes if is_convolution(node, graph)}
    for node in [node for node in graph.nodes if node.op_type == "Mul"]:
        for name, factor in (tuple(node.input), tuple(reversed(node.input))):
            if name in convolutions and len(readers[name]) == 1 and graph.constants.get(factor, np.ones(2)).size == 1:
                scale_convolution(graph, convolutions[name], factor)
                convolutions[name].output[0] = node.output[0]
                graph.nodes.remove(node)
                break


def scale_convolution(graph: Graph, node: Any, factor: str) -> None:
    value = graph.constants[factor].reshape(())
    node.input[1:] = [graph.add(f"{name}*{factor}", graph.constants[name] * value) for name in node.input[1:]]


def merge_siblings(graph: Graph) -> None:
    """Convolutions of one input that differ in nothing but weights, and whose rows are read -> one, then split."""
    readers = graph.readers()
    families: dict[Any, list[Any]] = {}
    for node in graph.nodes:
        if is_convolution(node, graph) and in_rows(readers[node.output[0]]):
            attributes = sorted((a.name, str(a)) for a in node.attribute)
            kernel = graph.constants[node.input[1]].shape[1:]
            key = (node.input[0], kernel, str(attributes), len(node.input)) if group_of(node) == 1 else id(node)
            families.setdefault(key, []).append(node)
    for family in families.values():
        if len(family) > 1:
            merge(graph, family, [readers[node.output[0]][0] for node in family])


def in_rows(readers: list[Any]) -> bool:
    if len(readers) != 1 or readers[0] is None or readers[0].op_type != "Transpose":
        return False
    return list(readers[0].attribute[0].ints) == ROWS_LAST


def merge(graph: Graph, family: list[Any], rows: list[Any]) -> None:
    """The first of the family computes all channels; `rows` are the transpositions that read the members."""
    first, position = family[0], graph.nodes.index(family[0])
    widths = [len(graph.constants[node.input[1]]) for node in family]
    for index in range(1, len(first.input)):  # weight, bias
        names = [node.input[index] for node in family]
        first.input[index] = graph.add("+".join(names), np.concatenate([graph.constants[name] for name in names]))
    first.output[0], last = f"{first.output[0]}/merged", f"{first.output[0]}/merged/rows"
    sizes = graph.add(f"{last}/widths", np.array(widths, np.int64))
    make = graph.onnx.helper.make_node
    graph.nodes[position + 1 : position + 1] = [
        make("Transpose", [first.output[0]], [last], f"{last}/Transpose", perm=ROWS_LAST),
        make("Split", [last, sizes], [node.output[0] for node in rows], f"{last}/Split", axis=3),
    ]
    gone = [id(node) for node in (*family[1:], *rows)]
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]
