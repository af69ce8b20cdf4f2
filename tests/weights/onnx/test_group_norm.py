"""Group norm as exporters write it: every form by hand against onnxruntime, and what is no group norm of ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import WeightsError
from bench.weights.onnx.importer import import_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
make = onnx.helper.make_node
FLOAT = onnx.TensorProto.FLOAT
RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = (RANDOM.normal(size=4).astype(np.float32) for _ in range(2))
CONSTANTS = {
    "first": RANDOM.normal(size=(4, 3, 1, 1)).astype(np.float32),
    "second": RANDOM.normal(size=(2, 4, 1, 1)).astype(np.float32),
    "grouped": np.array([0, 2, -1]),
    "ones": np.ones(2, np.float32),
    "zeros": np.zeros(2, np.float32),
    "weight": WEIGHT.reshape(4, 1, 1),
    "bias": BIAS.reshape(1, 4, 1, 1),
    "flat weight": WEIGHT,
    "flat bias": BIAS,
    "axes": np.array([1, 2]),
    "fixed": np.array([1, 4, 6, 5]),
    "scale of groups": np.array([2, -3], np.float32),
    "offset of groups": np.array([0.5, 4], np.float32),
    "one": np.ones((1, 1, 1), np.float32),
    "zero": np.zeros((1, 1, 1), np.float32),
    "mixing": np.array([-1, 2, 60]),
    "transposing": np.array([1, 6, 4, 5]),
    "two numbers": np.ones(2, np.float32),
}
BEFORE = make("Reshape", ["x", "grouped"], ["groups"])
SHAPE, AFTER = make("Shape", ["x"], ["shape"]), make("Reshape", ["normal", "shape"], ["restored"])
MUL, ADD = make("Mul", ["restored", "weight"], ["scaled"]), make("Add", ["scaled", "bias"], ["y"])


def instance(scale: str = "ones", offset: str = "zeros", epsilon: float = 1e-5) -> Any:
    return make("InstanceNormalization", ["groups", scale, offset], ["normal"], epsilon=epsilon)


def operator(scale: str, offset: str, groups: int = 2) -> Any:
    return make("GroupNormalization", ["x", scale, offset], ["y"], num_groups=groups)


def written(path: Path, nodes: list[Any], opset: int = 17) -> Path:
    """images [1, 3, 6, 5] -> convolution `x` -> `nodes`, which make `y` -> ReLU -> convolution"""
    value = onnx.helper.make_tensor_value_info
    around = (
        make("Conv", ["images", "first"], ["x"]),
        make("Relu", ["y"], ["z"]),
        make("Conv", ["z", "second"], ["out"]),
    )
    read = {name for node in (*nodes, *around) for name in node.input}
    graph = onnx.helper.make_graph(
        [around[0], *nodes, *around[1:]],
        "test",
        [value("images", FLOAT, [1, 3, 6, 5])],
        [value("out", FLOAT, [1, 2, 6, 5])],
        [onnx.numpy_helper.from_array(values, name) for name, values in CONSTANTS.items() if name in read],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, str(path))
    return path


def network() -> nn.Sequential:
    first, second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 2, 1, bias=False)
    return nn.Sequential(first, nn.GroupNorm(2, 4), nn.ReLU(), second)


def by_runtime(path: Path, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images.numpy()})[0]


FORMS = {
    "as torch writes it": [BEFORE, instance(), SHAPE, AFTER, MUL, ADD],
    "operands exchanged": [
        *(BEFORE, instance(), SHAPE, AFTER),
        make("Mul", ["weight", "restored"], ["scaled"]),
        make("Add", ["bias", "scaled"], ["y"]),
    ],
    "constants by nodes": [
        make("Constant", [], ["two groups"], value_ints=[0, 2, -1]),
        make("Constant", [], ["width"], value_ints=[2]),
        make("Constant", [], ["1"], value_float=1.0),
        make("Expand", ["1", "width"], ["filled"]),
        make("Reshape", ["x", "two groups"], ["groups"]),
        *(instance("filled"), SHAPE, AFTER),
        make("Unsqueeze", ["flat weight", "axes"], ["with axes"]),
        make("Mul", ["restored", "with axes"], ["scaled"]),
        ADD,
    ],
    "a fixed size": [BEFORE, instance(), make("Reshape", ["normal", "fixed"], ["restored"]), MUL, ADD],
    "numbers of groups": [
        *(BEFORE, instance("scale of groups", "offset of groups"), SHAPE),
        make("Reshape", ["normal", "shape"], ["y"]),
    ],
    "numbers of both": [BEFORE, instance("scale of groups", "offset of groups"), SHAPE, AFTER, MUL, ADD],
    "weight alone": [BEFORE, instance(), SHAPE, AFTER, make("Mul", ["restored", "weight"], ["y"])],
    "bias alone": [BEFORE, instance(), SHAPE, AFTER, make("Add", ["restored", "bias"], ["y"])],
    "operator of opset 21": [operator("flat weight", "flat bias")],
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_equal_onnxruntime(form: str, tmp_path: Path) -> None:
    path = written(tmp_path / "w.onnx", FORMS[form], opset=21 if "opset" in form else 17)
    net = network()
    net.load_state_dict(import_onnx(net, path, "net"))
    images = torch.randn(1, 3, 6, 5)
    with torch.no_grad():
        own = net(images).numpy()
    np.testing.assert_allclose(own, by_runtime(path, images), atol=1e-5, rtol=1e-5)


def test_numbers_by_hand(tmp_path: Path) -> None:
    """(y s + b) w + c = y (s w) + (b w + c), where each group's s and b serve both of its channels."""
    state = import_onnx(network(), written(tmp_path / "w.onnx", FORMS["numbers of both"]), "net")
    np.testing.assert_allclose(state["1.weight"], WEIGHT * [2, 2, -3, -3], rtol=1e-6)
    np.testing.assert_allclose(state["1.bias"], [0.5, 0.5, 4, 4] * WEIGHT + BIAS, rtol=1e-6)
    plain = import_onnx(network(), written(tmp_path / "w.onnx", FORMS["as torch writes it"]), "net")
    assert torch.equal(plain["1.weight"], torch.from_numpy(WEIGHT))  # to the last bit
    assert torch.equal(plain["1.bias"], torch.from_numpy(BIAS))


OTHERS = {
    "other groups": ([operator("flat weight", "flat bias", groups=4)], "has groups 4; 1 expects groups 2"),
    "another epsilon": (
        [BEFORE, instance(epsilon=1.1e-5), SHAPE, AFTER, MUL, ADD],
        r"InstanceNormalization normal has epsilon 1.1e-05; 1 expects epsilon 1e-05",
    ),
    "no weights": (
        [BEFORE, instance(), SHAPE, make("Reshape", ["normal", "shape"], ["y"])],
        r"normal has weight none; 1 expects weight \(4,\)",
    ),
    "no weights, as torch writes it": (
        [
            *(BEFORE, instance(), SHAPE, AFTER),
            make("Mul", ["restored", "one"], ["scaled"]),
            make("Add", ["scaled", "zero"], ["y"]),
        ],
        r"1 mismatches:\n.*normal has weight none; 1 expects weight \(4,\)",
    ),
    "read between": (
        [*(BEFORE, instance(), SHAPE, AFTER, MUL), make("Add", ["scaled", "restored"], ["y"])],
        "Mul scaled has weights of its own; expected .* group norms",
    ),
    "weights along the width": (
        [*(BEFORE, instance(), SHAPE, AFTER), make("Mul", ["restored", "flat weight"], ["y"])],
        "Mul y has weights of its own",
    ),
    "an instance norm": (
        [make("InstanceNormalization", ["x", "flat weight", "flat bias"], ["y"])],
        "InstanceNormalization y: expected a group norm .*; found that it is not between reshapes",
    ),
    "images mixed": (
        [make("Reshape", ["x", "mixing"], ["groups"]), instance(), SHAPE, AFTER, MUL, ADD],
        r"found that the Reshape before it, for 2 groups, is to \[-1, 2, 60\]",
    ),
    "a computed shape": (
        [SHAPE, make("Reshape", ["x", "shape"], ["groups"]), instance("flat weight", "flat bias"), AFTER, MUL, ADD],
        "for 4 groups, is to a computed shape",
    ),
    "another shape": (
        [BEFORE, instance(), make("Reshape", ["normal", "transposing"], ["restored"]), MUL, ADD],
        "the Reshape after it is not back to the shape of the map",
    ),
    "another map's shape": (
        [BEFORE, instance(), make("Shape", ["images"], ["shape"]), AFTER, MUL, ADD],
        "the Reshape after it is not back to the shape of the map",
    ),
    "no convolution before": (
        [
            make("Relu", ["x"], ["positive"]),
            make("GroupNormalization", ["positive", *2 * ["ones"]], ["y"], num_groups=2),
        ],
        "GroupNormalization y: .*; found that no convolution is right before it",
    ),
    "numbers of no group": ([operator("two numbers", "zeros", groups=4)], r"two numbers is \(2,\), of 4 channels"),
    "another layer": ([make("Relu", ["x"], ["y"])], r"missing groupnorm 1 \(4,\)"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_others_are_refused(what: str, tmp_path: Path) -> None:
    nodes, expected = OTHERS[what]
    operators = any(node.op_type == "GroupNormalization" for node in nodes)
    path = written(tmp_path / "w.onnx", nodes, opset=21 if operators else 17)
    with pytest.raises(WeightsError, match=expected):
        import_onnx(network(), path, "net")


def test_constants_that_cannot_be_computed(tmp_path: Path) -> None:
    nodes = [make("Reshape", ["flat weight", "grouped"], ["impossible"]), *FORMS["as torch writes it"]]
    with pytest.raises(WeightsError, match="Reshape impossible cannot be computed"):
        import_onnx(network(), written(tmp_path / "w.onnx", nodes), "net")
