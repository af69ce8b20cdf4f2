"""Described ONNX graphs of every shape through our contract."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bench
from bench.boxes import AnchorGenerator, DistanceCoder, Nms
from bench.detectors.base import Detector
from bench.detectors.external.onnx_detector import OnnxDetector
from bench.errors import ConfigError, ImageError, WeightsError
from bench.evaluation.postprocess import PostProcessor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

POSTPROCESS = PostProcessor(Nms(0.45), score_threshold=0.3)
NAMES = {"scores": "s", "boxes": "b"}
Noise = Callable[..., list[Tensor]]


def graph(path: Path, kind: int, shape: list[Any], constants: dict[str, np.ndarray], mean: bool = False) -> Path:
    """A graph whose outputs are constants, or the mean of its input beside them as `scores`."""
    helper, tensor = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in constants.items()
    ]
    outputs = [helper.make_tensor_value_info(name, tensor.FLOAT, value.shape) for name, value in constants.items()]
    if mean:
        nodes.append(helper.make_node("Cast", ["x"], ["cast"], to=tensor.FLOAT))
        nodes.append(helper.make_node("ReduceMean", ["cast"], ["scores"], axes=mean_axes(shape), keepdims=0))
        outputs.append(helper.make_tensor_value_info("scores", tensor.FLOAT, None))
    described = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], outputs)
    model = helper.make_model(described, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def mean_axes(shape: list[Any]) -> list[int]:
    return [2, 3] if shape[1] == 3 else [1, 2]


def opened(path: Path, outputs: Mapping[str, Any] = NAMES, **options: Any) -> Detector:
    """The graph as a detector with a post-processor."""
    detector = OnnxDetector(outputs, **options)
    detector.load(path, "graph")
    detector.postprocess = POSTPROCESS
    return detector


BOXES = np.array([[[1, 2, 21, 32], [2, 3, 22, 33], [40, 10, 60, 30]]], np.float32)


def test_boxes_that_come_decoded(tmp_path: Path, noise: Noise) -> None:
    scores = np.array([[[0.5], [0.9], [0.7]]], np.float32)
    path = graph(tmp_path / "g.onnx", 1, [1, 3, 32, 64], {"s": scores, "b": BOXES})
    detector = opened(path, fixed_size=(32, 64))
    found = detector.predict(noise((32, 64), (30, 50)))
    assert len(found) == 2
    assert found[0]["boxes"].tolist() == [[2, 3, 22, 32], [40, 10, 60, 30]]  # suppressed, and clipped to 32 x 64
    assert found[0]["scores"].tolist() == pytest.approx([0.9, 0.7])
    assert found[1]["boxes"].tolist() == [[2, 3, 22, 30], [40, 10, 50, 30]]  # clipped to the image, not to its padding
    together = detector.raw(noise((32, 64), (30, 50)))  # the graph takes one image: it runs twice
    assert together.image.tolist() == [0, 0, 0, 1, 1, 1]
    assert together.boxes.tolist() == [*BOXES[0].tolist(), *BOXES[0].tolist()]


def test_fractions_background_and_softmax(tmp_path: Path, noise: Noise) -> None:
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1]], np.float32))  # no batch dimension
    fractions = (BOXES / np.array([64, 32, 64, 32], np.float32))[0]
    path = graph(tmp_path / "g.onnx", 1, [1, 3, "h", "w"], {"s": logits, "b": fractions})
    described: dict[str, Any] = {"num_classes": 2, "background": 0, "activation": "softmax", "box_unit": "fractions"}
    found = opened(path, **described).raw(noise((32, 64)))
    torch.testing.assert_close(found.boxes, torch.tensor(BOXES[0]))
    torch.testing.assert_close(found.scores, torch.tensor([[0.2, 0.7], [0.1, 0.1], [0.6, 0.1]]))
    assert found.image.tolist() == [0, 0, 0]


def test_maps_are_decoded_with_our_anchors(tmp_path: Path, noise: Noise) -> None:
    """Two anchors a cell, 1 x 2 cells of stride 32: channel = anchor * values + value."""
    maps = {
        "s": np.arange(4, dtype=np.float32).reshape(1, 2, 1, 2),
        "b": np.arange(16, dtype=np.float32).reshape(1, 8, 1, 2),
        "k": np.arange(16, dtype=np.float32).reshape(1, 8, 1, 2),
    }
    path = graph(tmp_path / "g.onnx", 1, ["n", 3, "h", "w"], maps)
    coding: dict[str, Any] = {"anchors": AnchorGenerator((32,), ((64, 128),)), "coder": DistanceCoder()}
    detector = opened(path, {**NAMES, "keypoints": "k"}, activation="sigmoid", **coding)
    found = detector.raw(noise((32, 64)))
    assert found.scores[:, 0].logit().tolist() == pytest.approx([0, 2, 1, 3], abs=1e-4)
    # Second row: cell 0, anchor 1: channels 4..7 at column 0 are 8, 10, 12, 14, times the stride of 32.
    assert found.boxes[1].tolist() == [-256, -320, 384, 448]
    assert found.keypoints is not None
    assert found.keypoints[1].tolist() == [[256, 320], [384, 448]]
    with pytest.raises(ConfigError, match=r"gives 16 anchors for 64x128, the graph 4 boxes"):
        detector.raw(noise((64, 128)))


@pytest.mark.parametrize("kind", ["float", "uint8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_what_the_graph_sees(kind: str, layout: str, channels: str, tmp_path: Path) -> None:
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 32)
    shape = [1, 3, "h", "w"] if layout == "NCHW" else [1, "h", "w", 3]
    boxes = np.zeros((1, 3, 4), np.float32)
    path = graph(tmp_path / "g.onnx", {"float": 1, "uint8": 2}[kind], shape, {"b": boxes}, mean=True)
    detector = opened(
        path,
        {"scores": "scores", "boxes": "b"},
        layout=layout,
        channels=channels,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        padding=(50, 60, 70),
    )
    seen = detector.raw([image, image[:, :16]]).scores.view(2, 3)
    order = slice(None) if channels == "RGB" else slice(None, None, -1)
    assert seen[0].tolist() == [10, 20, 30][order]
    assert seen[1].tolist() == [30, 40, 50][order]  # the lower half is padding


def test_files_that_do_not_fit(tmp_path: Path, noise: Noise) -> None:
    path = graph(tmp_path / "g.onnx", 1, [1, 3, 32, 32], {"s": BOXES[..., 0], "b": BOXES})
    (tmp_path / "text.onnx").write_text("no graph")
    for file, message in (
        ("none.onnx", "expected the ONNX file of `graph` at .*none.onnx, found none"),
        ("text.onnx", "cannot be opened by onnxruntime"),
    ):
        with pytest.raises(WeightsError, match=message):
            opened(tmp_path / file)
    with pytest.raises(WeightsError, match=r"fit `graph`: outputs \['other'\] are missing, it has \['s', 'b'\]"):
        opened(path, {"scores": "other", "boxes": "b"})
    with pytest.raises(ConfigError, match="4 values an anchor, found"):
        opened(path, {"scores": "s", "boxes": "s"}, fixed_size=(32, 32)).raw(noise((32, 32)))
    with pytest.raises(ImageError, match=r"at most \(32, 32\), found \(33, 20\)"):
        opened(path, fixed_size=(32, 32)).predict(noise((33, 20)))
    with pytest.raises(ConfigError, match=r"expected an ONNX file, found none; give weights=FILE"):
        OnnxDetector(NAMES).raw(noise((32, 32)))


def test_descriptions_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="expected outputs named scores, boxes"):
        OnnxDetector({"scores": "s"})
    with pytest.raises(ConfigError, match="layout to be one of NCHW, NHWC, found `CHWN`"):
        OnnxDetector(NAMES, layout="CHWN")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="belong together"):
        OnnxDetector(NAMES, coder=DistanceCoder())


def test_a_graph_of_fixed_size_says_so() -> None:
    assert OnnxDetector(NAMES, fixed_size=[32, 64]).input_size((480, 640)) == (32, 64)
    assert OnnxDetector(NAMES).input_size((480, 640)) == (480, 640)


def test_a_graph_runs_on_the_cpu_alone() -> None:
    detector = OnnxDetector(NAMES)
    detector.check_device("cpu", "fp32")
    for device, precision in (("cuda", "fp32"), ("cpu", "bf16")):
        with pytest.raises(ConfigError, match=f"expected cpu and fp32, found {device} and {precision}"):
            detector.check_device(device, precision)


def test_a_session_cannot_be_copied() -> None:
    with pytest.raises(ConfigError, match="cannot be copied"):
        copy.deepcopy(bench.create_detector("external/scrfd_2.5g_kps_onnx"))
