"""Detectors of other makers: described ONNX graphs of every shape, and a torchvision model, through our contract."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bench
from bench.boxes import AnchorGenerator, DistanceCoder, Nms
from bench.config import compose
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.detectors.external_onnx import OnnxDetector
from bench.detectors.external_torchvision import TorchvisionDetector
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


class Finder(nn.Module):
    """Like a torchvision detector: finds one box an image, as large as the image, and one of another class.

    In an image 10 pixels wide it finds the first box alone, in one of 8 pixels nothing.
    """

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = []
        for image in images:
            height, width = image.shape[1:]
            boxes = image.new_tensor([[0, 0, width, height], [1, 1, 5, 5]])
            one = {"boxes": boxes, "scores": image.mean().repeat(2), "labels": torch.tensor([3, 7])}
            count = {8: 0, 10: 1}.get(width, 2)
            found.append({key: value[:count] for key, value in one.items()})
        return found


def grey(height: int, width: int, value: int) -> Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_torchvision_contract() -> None:
    """Ragged images reach the model unpadded; labels are translated; an image with fewer boxes stays apart."""
    detector = TorchvisionDetector(Finder(), classes=(7, 3))
    first, second = grey(20, 30, 255), grey(40, 10, 204)
    raw = detector.raw([first, second])
    assert raw.image.tolist() == [0, 0, 1]  # a row for each box found, and none beside them
    assert raw.scores.tolist() == [[0, 1], [1, 0], [0, pytest.approx(0.8)]]
    assert raw.sizes.tolist() == [[20, 30], [40, 10]]
    found = POSTPROCESS(raw)
    assert found[0]["boxes"].tolist() == [[0, 0, 30, 20], [1, 1, 5, 5]]
    assert found[0]["labels"].tolist() == [1, 0]
    assert found[0]["scores"].tolist() == [1, 1]
    assert found[1]["boxes"].tolist() == [[0, 0, 10, 40]]
    assert found[1]["scores"].tolist() == pytest.approx([0.8])
    detector.postprocess = POSTPROCESS
    assert torch.equal(detector.predict([second])[0]["boxes"], found[1]["boxes"])


def test_torchvision_finds_nothing_in_an_image() -> None:
    """An image without boxes first, between others, and alone; a class that is not among ours scores nothing."""
    detector = TorchvisionDetector(Finder(), classes=(3,))
    raw = detector.raw([grey(20, 8, 255), grey(20, 30, 255), grey(20, 8, 255), grey(40, 10, 204)])
    assert raw.image.tolist() == [1, 1, 3]
    assert raw.boxes[:, 2].tolist() == [30, 5, 10]
    assert raw.scores.tolist() == [[1], [0], [pytest.approx(0.8)]]
    assert [len(found["scores"]) for found in POSTPROCESS(raw)] == [0, 1, 0, 1]
    alone = detector.raw([grey(20, 8, 255)])
    assert (alone.boxes.shape, alone.scores.shape, alone.image.shape) == ((0, 4), (0, 1), (0,))
    assert POSTPROCESS(alone)[0]["boxes"].shape == (0, 4)


def test_torchvision_keypoints() -> None:
    class Pointing(nn.Module):
        def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
            """One face less in every image, down to none."""
            counts = range(len(images) - 1, -1, -1)
            shapes = {"boxes": (4,), "scores": (), "keypoints": (5, 3)}
            ones = [{key: torch.ones(n, *shape) for key, shape in shapes.items()} for n in counts]
            return [{**one, "labels": torch.ones(len(one["scores"]), dtype=torch.int64)} for one in ones]

    raw = TorchvisionDetector(Pointing()).raw([grey(8, 8, 0)] * 3)
    assert raw.image.tolist() == [0, 0, 1]
    assert raw.keypoints is not None
    assert raw.keypoints.shape == (3, 5, 2)


def test_torchvision_without_classes() -> None:
    with pytest.raises(ConfigError, match="label for each of our classes, found none"):
        TorchvisionDetector(Finder(), classes=())


@pytest.fixture(scope="module")
def torchvision_face() -> Callable[..., Detector]:
    def build(**options: Any) -> Detector:
        model = {"min_size": 64, "max_size": 64, "box_score_thresh": 0.0}
        return bench.create_detector("external/torchvision_face", model=model, **options)

    return build


def test_a_torchvision_model_and_its_weights(
    torchvision_face: Callable[..., Detector], tmp_path: Path, noise: Noise
) -> None:
    torch.manual_seed(0)
    detector = torchvision_face()
    state = detector.components()["model"].state_dict()
    torch.save(state, tmp_path / "published.pth")
    other = torchvision_face(weights=tmp_path / "published.pth")
    images = noise((64, 48))
    one, two = detector.predict(images)[0], other.predict(images)[0]
    assert len(one["scores"]) > 0
    assert torch.equal(one["boxes"], two["boxes"])
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="missing backbone"):
        other.load(tmp_path / "other.pth", "torchvision_face")


def test_a_torchvision_model_batched_equals_single(torchvision_face: Callable[..., Detector], noise: Noise) -> None:
    """Of images of two shapes, which torchvision would resize to 64 x 20 and 20 x 64 and pad to 64 x 64 together."""
    torch.manual_seed(0)
    detector = torchvision_face().double()
    assert detector.postprocess is not None
    images = noise((64, 20), (20, 64), (64, 20))
    with torch.no_grad():
        together = detector.postprocess(detector.raw(images))
        single = [detector.postprocess(detector.raw([image]))[0] for image in images]
    assert [len(found["scores"]) > 2 for found in single] == [True] * 3
    for found, alone in zip(together, single, strict=True):
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-3, rtol=1e-4)


def test_external_detectors_are_listed_apart() -> None:
    assert "external/scrfd_2.5g_kps_onnx" in bench.list_detectors("external/*")
    assert not any(name.startswith("external") for name in bench.list_detectors())


@pytest.mark.parametrize("name", bench.list_detectors("external/*"))
def test_what_external_detectors_have_in_common(name: str) -> None:
    """Their operations run elsewhere, their networks stay as they came, and nothing is trained."""
    node = compose("model", [f"detector={name}"]).detector
    detector = build_detector(node)
    assert detector.complexity((480, 640)) is None
    assert detector.folded() is detector
    assert detector.backbone_components() == ()
    with pytest.raises(ConfigError, match="cannot be trained here"):
        detector.losses({}, [])
    with pytest.raises(ConfigError, match=r"has no recipe: it cannot be trained here, only evaluated"):
        build_detector(node, with_recipe=True)


def test_a_session_cannot_be_copied() -> None:
    with pytest.raises(ConfigError, match="cannot be copied"):
        copy.deepcopy(bench.create_detector("external/scrfd_2.5g_kps_onnx"))
