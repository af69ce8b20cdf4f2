"""Multi-scale testing through `predict` and `evaluate`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import bench
from bench.config import compose
from bench.cost.complexity import measure_complexity
from bench.detectors.create import build_detector
from bench.detectors.external_onnx import OnnxDetector
from bench.errors import ImageError
from bench.grid.build import build_views
from bench.report.records import Record
from bench.verbs import predict
from bench.verbs.evaluate import evaluate_weights

RULE = "{_target_: data_modules.transforms.ResizeLongSide, size: %d}"
VIEWS = ", ".join(
    f"{{resize: {RULE % size}, flip: {flip}, input_size: [{size * 3 // 4}, {size}]}}"
    for size, flip in ((256, "false"), (256, "true"), (384, "true"))
)
TINY = ["detector=scrfd_tiny", "protocol=wider_multi_scale", f"protocol.views=[{VIEWS}]", "trainer=cpu"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of an untrained detector whose scores are spread out."""
    torch.manual_seed(3)
    detector = bench.create_detector("scrfd_tiny")
    for parameter in detector.head.parameters():  # type: ignore[union-attr]
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    save_file(dict(detector.state_dict()), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_predict_uses_the_views(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    words = [*TINY, f"source={tmp_path / 'a.png'}", f"weights={weights}", "score_threshold=0.0", "format=json"]
    config = compose("predict", words)
    predict.run(config)
    (told,) = json.loads(capsys.readouterr().out)
    detector = bench.create_detector("scrfd_tiny", weights)
    image = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)  # OpenCV writes BGR
    (expected,) = detector.predict([image], views=build_views(config.protocol))
    assert len(told["scores"]) > 20
    np.testing.assert_allclose(told["boxes"], expected["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(told["scores"], expected["scores"].numpy(), atol=1e-5)
    assert told["size"] == [90, 200]
    assert len(detector.predict([image])[0]["scores"]) != len(told["scores"])  # without views, something else


def test_the_record_names_views_and_their_cost(drawn: Path, tmp_path: Path) -> None:
    data = ["data=synth_faces", f"data.root={drawn}", "data.train_images=16", "data.val_images=8", "data.num_workers=0"]
    config = compose("evaluate", [*data, *TINY, "protocol.pre_top_k=1000", f"paths.results={tmp_path}", "pictures=1"])
    (record,) = evaluate_weights(config)
    vga = measure_complexity(build_detector(config), (192, 256)).macs
    assert record.cost is not None
    assert record.cost.macs == 2 * vga + measure_complexity(build_detector(config), (288, 384)).macs
    assert record.cost.views == ((192, 256), (192, 256), (288, 384))
    assert [view["flip"] for view in record.protocol.settings["views"]] == [False, True, True]
    assert (record.protocol.name, record.dataset.images) == ("wider_multi_scale", 8)
    assert Record.model_validate_json(record.to_json(), strict=True) == record
    assert list(tmp_path.rglob("*.jpg"))  # the pictures, at the size of the images


def test_a_graph_of_fixed_size_refuses_larger_views() -> None:
    config = compose("model", ["detector=external/scrfd_2.5g_kps_onnx", "protocol=wider_multi_scale"])
    detector = build_detector(config)
    assert isinstance(detector, OnnxDetector)
    image = torch.zeros(3, 96, 128, dtype=torch.uint8)
    with pytest.raises(ImageError, match=r"at most \(640, 640\), found \(960, 1280\)"):
        detector.predict([image], views=build_views(config.protocol)[2:])
