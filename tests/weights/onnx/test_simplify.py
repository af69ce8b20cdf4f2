"""Rewritten graphs: fewer operators, the same numbers, and only where both are certain."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench as suite
from bench.weights.onnx.blocks import widen
from bench.weights.onnx.export import export_onnx
from bench.weights.onnx.graph_edit import Graph
from bench.weights.onnx.simplify import ratio, simplify
from bench.weights.onnx.sizes import dimensions, rule

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
make = onnx.helper.make_node
FLOAT = onnx.TensorProto.FLOAT
ROWS = {"perm": [0, 2, 3, 1]}


def model_of(nodes: list[Any], outputs: list[str], constants: dict[str, np.ndarray]) -> Any:
    """A model of `images` [batch, 3, height, width] -> `outputs`."""
    value = onnx.helper.make_tensor_value_info
    tensors = [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = onnx.helper.make_graph(
        nodes,
        "test",
        [value("images", FLOAT, ["batch", 3, "height", "width"])],
        [value(name, FLOAT, [None] * 4) for name in outputs],
        tensors,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def outcome(model: Any, batch: int = 2, height: int = 16, width: int = 24) -> list[np.ndarray]:
    images = np.random.default_rng(0).normal(size=(batch, 3, height, width)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})


def same(model: Any, before: list[np.ndarray]) -> None:
    for one, two in zip(before, outcome(model), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5, rtol=1e-5)


def kinds(model: Any) -> dict[str, int]:
    return dict(Counter(node.op_type for node in model.graph.node))


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_siblings_become_one_convolution_and_a_factor_goes_into_its_weights() -> None:
    constants = {"a": weights(2, 3, 3, 3), "A": weights(2), "b": weights(8, 3, 3, 3), "B": weights(8)}
    constants |= {"c": weights(4, 3, 1, 1), "C": weights(4), "half": np.float32(0.5)}
    nodes = [
        make("Conv", ["images", "a", "A"], ["one"], pads=[1, 1, 1, 1]),
        make("Conv", ["images", "b", "B"], ["two"], pads=[1, 1, 1, 1]),
        make("Mul", ["two", "half"], ["halved"]),
        make("Conv", ["images", "c", "C"], ["other kernel"]),
        make("Transpose", ["one"], ["x"], **ROWS),
        make("Transpose", ["halved"], ["y"], **ROWS),
        make("Transpose", ["other kernel"], ["z"], **ROWS),
    ]
    model = model_of(nodes, ["x", "y", "z"], constants)
    before = outcome(model)
    simplify(model, 8)
    assert kinds(model) == {"Conv": 2, "Transpose": 2, "Split": 1}
    assert sorted(len(t.dims) and t.dims[0] for t in model.graph.initializer if len(t.dims) == 4) == [4, 10]
    same(model, before)


def test_siblings_of_several_readers_or_groups_stay() -> None:
    constants = {"a": weights(3, 3, 1, 1), "b": weights(3, 3, 1, 1), "c": weights(3, 1, 1, 1), "d": weights(6, 1, 1, 1)}
    nodes = [
        make("Conv", ["images", "a"], ["one"]),
        make("Conv", ["images", "b"], ["two"]),
        make("Conv", ["images", "c"], ["three"], group=3),
        make("Conv", ["images", "d"], ["four"], group=3),
        *(make("Transpose", [name], [f"{name} rows"], **ROWS) for name in ("one", "three", "four")),
        make("Transpose", ["two"], ["two rows"], perm=[0, 3, 2, 1]),
        make("Relu", ["one"], ["read again"]),
    ]
    model = model_of(nodes, ["one rows", "two rows", "three rows", "four rows", "read again"], constants)
    before = outcome(model)
    simplify(model, 8)
    assert kinds(model) == {"Conv": 4, "Transpose": 4, "Relu": 1}
    same(model, before)


def test_a_factor_stays_where_the_plain_result_is_read_too() -> None:
    nodes = [make("Conv", ["images", "a"], ["plain"]), make("Mul", ["half", "plain"], ["halved"])]
    model = model_of(nodes, ["plain", "halved"], {"a": weights(2, 3, 1, 1), "half": np.float32(0.5)})
    before = outcome(model)
    simplify(model, 8)
    assert kinds(model) == {"Conv": 1, "Mul": 1}
    same(model, before)


def test_sizes_are_found_by_example() -> None:
    examples = [(2, 24, 32), (3, 40, 56), (5, 16, 8)]
    assert rule((24, 24, 24), examples) == 24
    assert rule((2, 3, 5), examples) == "batch"
    assert rule((3, 5, 2), examples) == "height/8"
    assert rule((32, 56, 8), examples) == "width"
    assert rule((4, 5, 2), examples) is None
    assert rule((3, None, 2), examples) is None
    nodes = [make("Conv", ["images", "a"], ["x"], strides=[2, 2], pads=[1, 1, 1, 1])]
    found = dimensions(model_of(nodes, ["x"], {"a": weights(5, 3, 3, 3)}), 8)
    assert found["x"] == ["batch", 5, "height/2", "width/2"]
    assert (ratio("height/8", "height/16"), ratio("width", "width/4"), ratio(3, 3)) == (2, 4, 1)
    assert (ratio("height/8", "width/8"), ratio(3, "height"), ratio(None, None)) == (None, None, None)


@pytest.mark.parametrize(("name", "sizes"), [("scrfd_tiny", {"Shape"}), ("scrfd_0.5g_kps", set())])
def test_of_an_exported_detector(name: str, sizes: set[str], tmp_path: Path) -> None:
    """Group norm, as exporters write it, asks for the size of its map; nothing else does."""
    torch.manual_seed(0)
    detector = suite.create_detector(name)
    export_onnx(detector, tmp_path / "plain.onnx", simplified=False)
    export_onnx(detector, tmp_path / "simple.onnx")
    plain, simple = (onnx.load(str(tmp_path / f"{file}.onnx")) for file in ("plain", "simple"))
    assert kinds(plain)["Conv"] - kinds(simple)["Conv"] == 6  # on each of three levels three predictors became one
    assert {"Shape", "Constant", "Gather", "Concat"} & set(kinds(simple)) == sizes
    resizes = [node for node in simple.graph.node if node.op_type == "Resize"]
    factors = {tensor.name: onnx.numpy_helper.to_array(tensor).tolist() for tensor in simple.graph.initializer}
    assert [factors[node.input[2]] for node in resizes] == 2 * [[1, 1, 2, 2]]
    for one, two in zip(outcome(plain, 3, 96, 160), outcome(simple, 3, 96, 160), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-4, rtol=1e-4)
    widths = [[side.dim_value for side in value.type.tensor_type.shape.dim][2] for value in simple.graph.output]
    assert widths == [1, 1, 1, 4, 4, 4, 10, 10, 10]


def test_maps_are_filled_up_to_blocks_and_outputs_are_not() -> None:
    constants = {"a": weights(5, 3, 3, 3), "A": weights(5), "depth": weights(5, 1, 3, 3), "D": weights(5)}
    constants |= {"b": weights(5, 5, 1, 1), "c": weights(2, 5, 1, 1)}
    nodes = [
        make("Conv", ["images", "a", "A"], ["x"], pads=[1, 1, 1, 1]),
        make("Relu", ["x"], ["positive"]),
        make("MaxPool", ["positive"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        make("Conv", ["pooled", "depth", "D"], ["deep"], pads=[1, 1, 1, 1], group=5),
        make("Conv", ["deep", "b"], ["mixed"]),
        make("Add", ["mixed", "pooled"], ["sum"]),
        make("Conv", ["sum", "c"], ["y"]),
    ]
    model = model_of(nodes, ["y"], constants)
    before = outcome(model)
    graph = Graph(model.graph)
    widen(graph, 4)
    graph.write()
    shapes = [tuple(graph.constants[node.input[1]].shape) for node in model.graph.node if node.op_type == "Conv"]
    assert shapes == [(8, 3, 3, 3), (8, 1, 3, 3), (8, 8, 1, 1), (2, 8, 1, 1)]
    onnx.checker.check_model(model, full_check=True)
    same(model, before)


@pytest.mark.parametrize("counter", ["Concat", "Add", "Conv"])
def test_maps_whose_channels_are_counted_are_not_filled_up(counter: str) -> None:
    constants = {"a": weights(6, 3, 1, 1), "c": weights(2, 6, 1, 1), "groups": weights(6, 2, 1, 1)}
    constants |= {"each": weights(1, 6, 1, 1), "c12": weights(2, 12, 1, 1)}
    middle = {
        "Concat": make("Concat", ["x", "x"], ["m"], axis=1),
        "Add": make("Add", ["x", "each"], ["m"]),
        "Conv": make("Conv", ["x", "groups"], ["m"], group=3),
    }[counter]
    last = make("Conv", ["m", "c12" if counter == "Concat" else "c"], ["y"])
    model = model_of([make("Conv", ["images", "a"], ["x"]), middle, last], ["y"], constants)
    before = outcome(model)
    graph = Graph(model.graph)
    widen(graph, 4)
    graph.write()
    assert graph.constants[model.graph.node[0].input[1]].shape == (6, 3, 1, 1)
    same(model, before)
