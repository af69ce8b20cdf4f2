"""Detectors of other makers: described ONNX graphs of every shape, and a torchvision model, through our contract."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bench
from bench.boxes import AnchorGenerator, DistanceCoder, Nms
from bench.config import compose
from bench.detectors.create import build_detector
from bench.detectors.external_onnx import OnnxDetector
from bench.detectors.external_torchvision import TorchvisionDetector
from bench.detectors.postprocess import PostProcessor
from bench.errors import ConfigError, ImageError, WeightsError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

POSTPROCESS = PostProcessor(Nms(0.45), score_threshold=0.3)


def graph(path: Path, kind: int, shape: list[Any], constants: dict[str, np.ndarray], mean: bool = False) -> Path:
    """A graph whose outputs are constants, or the mean of its input beside them as `seen`."""
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


def noise(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


BOXES = np.array([[[1, 2, 21, 32], [2, 3, 22, 33], [40, 10, 60, 30]]], np.float32)


def test_boxes_that_come_decoded(tmp_path: Path) -> None:
    scores = np.array([[[0.5], [0.9], [0.7]]], np.float32)
    path = graph(tmp_path / "g.onnx", 1, [1, 3, 32, 64], {"s": scores, "b": BOXES})
    detector = OnnxDetector(POSTPROCESS, {"scores": "s", "boxes": "b"}, path, input_size=(32, 64))
    found = detector.predict(noise((32, 64), (30, 50)))
    assert len(found) == 2  # the graph takes one image: it ran twice
    assert found[0]["boxes"].tolist() == [[2, 3, 22, 32], [40, 10, 60, 30]]  # suppressed, and clipped to 32 x 64
    assert found[0]["scores"].tolist() == pytest.approx([0.9, 0.7])
    assert found[1]["boxes"].tolist() == [[2, 3, 22, 30], [40, 10, 50, 30]]  # clipped to the image, not to its padding


def test_fractions_background_and_softmax(tmp_path: Path) -> None:
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1]], np.float32))  # no batch dimension
    fractions = (BOXES / np.array([64, 32, 64, 32], np.float32))[0]
    path = graph(tmp_path / "g.onnx", 1, [1, 3, "h", "w"], {"s": logits, "b": fractions})
    detector = OnnxDetector(
        POSTPROCESS,
        {"scores": "s", "boxes": "b"},
        path,
        num_classes=2,
        background=0,
        activation="softmax",
        box_unit="fractions",
    )
    found = detector.raw(noise((32, 64)))
    torch.testing.assert_close(found.boxes, torch.tensor(BOXES))
    torch.testing.assert_close(found.scores, torch.tensor([[[0.2, 0.7], [0.1, 0.1], [0.6, 0.1]]]))


def test_maps_are_decoded_with_our_anchors(tmp_path: Path) -> None:
    """Two anchors a cell, 1 x 2 cells of stride 32: channel = anchor * values + value."""
    maps = {
        "s": np.arange(4, dtype=np.float32).reshape(1, 2, 1, 2),
        "b": np.arange(16, dtype=np.float32).reshape(1, 8, 1, 2),
        "k": np.arange(16, dtype=np.float32).reshape(1, 8, 1, 2),
    }
    path = graph(tmp_path / "g.onnx", 1, ["n", 3, "h", "w"], maps)
    coding: dict[str, Any] = {"anchors": AnchorGenerator((32,), ((64, 128),)), "coder": DistanceCoder()}
    names = {"scores": "s", "boxes": "b", "keypoints": "k"}
    found = OnnxDetector(POSTPROCESS, names, path, activation="sigmoid", **coding).raw(noise((32, 64)))
    assert found.scores[0, :, 0].logit().tolist() == pytest.approx([0, 2, 1, 3], abs=1e-4)
    # Second row: cell 0, anchor 1: channels 4..7 at column 0 are 8, 10, 12, 14, times the stride of 32.
    assert found.boxes[0, 1].tolist() == [-256, -320, 384, 448]
    assert found.keypoints is not None
    assert found.keypoints[0, 1].tolist() == [[256, 320], [384, 448]]
    with pytest.raises(ConfigError, match=r"gives 16 anchors for 64x128, the graph 4 boxes"):
        OnnxDetector(POSTPROCESS, names, path, **coding).raw(noise((64, 128)))


@pytest.mark.parametrize("kind", ["float", "uint8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_what_the_graph_sees(kind: str, layout: str, channels: str, tmp_path: Path) -> None:
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 32)
    shape = [1, 3, "h", "w"] if layout == "NCHW" else [1, "h", "w", 3]
    boxes = np.zeros((1, 3, 4), np.float32)
    path = graph(tmp_path / "g.onnx", {"float": 1, "uint8": 2}[kind], shape, {"b": boxes}, mean=True)
    detector = OnnxDetector(
        POSTPROCESS,
        {"scores": "scores", "boxes": "b"},
        path,
        layout=layout,  # type: ignore[arg-type]
        channels=channels,  # type: ignore[arg-type]
        mean=(0, 0, 0),
        std=(1, 1, 1),
        padding=(50, 60, 70),
    )
    seen = detector.raw([image, image[:, :16]]).scores[..., 0]
    order = slice(None) if channels == "RGB" else slice(None, None, -1)
    assert seen[0].tolist() == [10, 20, 30][order]
    assert seen[1].tolist() == [30, 40, 50][order]  # the lower half is padding


def test_what_does_not_fit(tmp_path: Path) -> None:
    names = {"scores": "s", "boxes": "b"}
    path = graph(tmp_path / "g.onnx", 1, [1, 3, 32, 32], {"s": BOXES[..., 0], "b": BOXES})
    (tmp_path / "text.onnx").write_text("no graph")
    for file, message in (("none.onnx", "found none"), ("text.onnx", "cannot be opened by onnxruntime")):
        with pytest.raises(WeightsError, match=message):
            OnnxDetector(POSTPROCESS, names, tmp_path / file)
    with pytest.raises(WeightsError, match=r"outputs \['other'\] are missing, it has \['s', 'b'\]"):
        OnnxDetector(POSTPROCESS, {"scores": "other", "boxes": "b"}, path)
    with pytest.raises(ConfigError, match="expected outputs named scores, boxes"):
        OnnxDetector(POSTPROCESS, {"scores": "s"}, path)
    with pytest.raises(ConfigError, match="layout to be one of NCHW, NHWC, found `CHWN`"):
        OnnxDetector(POSTPROCESS, names, path, layout="CHWN")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="belong together"):
        OnnxDetector(POSTPROCESS, names, path, coder=DistanceCoder())
    with pytest.raises(ConfigError, match="4 values an anchor, found"):
        OnnxDetector(POSTPROCESS, {"scores": "s", "boxes": "s"}, path, input_size=(32, 32)).raw(noise((32, 32)))
    with pytest.raises(ImageError, match=r"at most \(32, 32\), found \(33, 20\)"):
        OnnxDetector(POSTPROCESS, names, path, input_size=(32, 32)).predict(noise((33, 20)))
    with pytest.raises(ConfigError, match=r"give detector\.model\.path=FILE or weights=FILE"):
        OnnxDetector(POSTPROCESS, names).predict(noise((32, 32)))


class Finder(nn.Module):
    """Like a torchvision detector: finds one box an image, as large as the image, and one of another class."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = []
        for image in images:
            height, width = image.shape[1:]
            boxes = image.new_tensor([[0, 0, width, height], [1, 1, 5, 5]])
            found.append({"boxes": boxes, "scores": image.mean().repeat(2), "labels": torch.tensor([3, 7])})
        found[-1] = {key: value[:1] for key, value in found[-1].items()}
        return found


def test_torchvision_contract() -> None:
    """Ragged images reach the model unpadded; labels are translated; an image with fewer boxes stays apart."""
    detector = TorchvisionDetector(POSTPROCESS, Finder(), classes=(7, 3))
    first, second = torch.full((3, 20, 30), 255, dtype=torch.uint8), torch.full((3, 40, 10), 204, dtype=torch.uint8)
    found = detector.postprocess(detector.raw([first, second]))  # `predict` would run them apart, being of two sizes
    assert found[0]["boxes"].tolist() == [[0, 0, 30, 20], [1, 1, 5, 5]]
    assert found[0]["labels"].tolist() == [1, 0]
    assert found[0]["scores"].tolist() == [1, 1]
    assert found[1]["boxes"].tolist() == [[0, 0, 10, 40]]
    assert found[1]["scores"].tolist() == pytest.approx([0.8])
    assert torch.equal(detector.predict([second])[0]["boxes"], found[1]["boxes"])


def test_a_torchvision_model_and_its_weights(tmp_path: Path) -> None:
    model = {"min_size": 64, "max_size": 64}
    torch.manual_seed(0)
    detector = bench.create_detector("external/torchvision_face", model={**model, "box_score_thresh": 0.0})
    assert isinstance(detector, TorchvisionDetector)
    torch.save(detector.model.state_dict(), tmp_path / "published.pth")
    other = bench.create_detector(
        "external/torchvision_face", weights=tmp_path / "published.pth", model={**model, "box_score_thresh": 0.0}
    )
    images = noise((64, 48))
    one, two = detector.predict(images)[0], other.predict(images)[0]
    assert len(one["scores"]) > 0
    assert torch.equal(one["boxes"], two["boxes"])
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="missing backbone"):
        other.load_file(tmp_path / "other.pth", "torchvision_face")


def test_external_detectors_are_listed_apart() -> None:
    assert "external/scrfd_2.5g_kps_onnx" in bench.list_detectors("external/*")
    assert not any(name.startswith("external") for name in bench.list_detectors())


def test_no_training() -> None:
    config = compose("model", ["detector=external/scrfd_2.5g_kps_onnx"])
    with pytest.raises(ConfigError, match="cannot be trained here"):
        build_detector(config, with_recipe=True)
    detector = build_detector(config)
    with pytest.raises(ConfigError, match="cannot be trained here"):
        detector.losses({}, [])
    with pytest.raises(ConfigError, match="cannot be copied"):
        copy.deepcopy(detector)
