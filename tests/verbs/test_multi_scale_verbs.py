"""Multi-scale testing through `predict` and `evaluate`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import bench
from bench.config import compose, instantiate
from bench.detectors.create import build_detector
from bench.errors import ImageError
from bench.evaluation.looks import propose
from bench.records.record import Record
from bench.run.build import build_looks
from bench.run.weights import evaluate_weights
from bench.verbs import predict

RULE = "{_target_: data_modules.loading.transforms.ResizeLongSide, size: %d}"
LOOKS = ", ".join(
    f"{{resize: {RULE % size}, flip: {flip}, cost_size: [{size * 3 // 4}, {size}]}}"
    for size, flip in ((256, "false"), (256, "true"), (384, "true"))
)
TINY = ["detector=scrfd_tiny", "protocol=wider_multi_scale", f"protocol.looks=[{LOOKS}]", "trainer=cpu"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of an untrained detector whose scores are spread out."""
    torch.manual_seed(3)
    detector = bench.create_detector("scrfd_tiny")
    for parameter in detector.head.parameters():  # type: ignore[union-attr]
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    for name, parameter in detector.head.named_parameters():  # type: ignore[union-attr]
        if "bbox" in name and name.endswith("bias"):
            parameter.data.fill_(1.5)  # strides from the anchor to each side: boxes with a height
    save_file(dict(detector.state_dict()), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_predict_uses_the_looks(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    words = [*TINY, f"source={tmp_path / 'a.png'}", f"weights={weights}", "score_threshold=0.0", "format=json"]
    config = compose("predict", words)
    predict.run(config)
    (told,) = json.loads(capsys.readouterr().out)
    detector = bench.create_detector("scrfd_tiny", weights)
    image = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)  # OpenCV writes BGR
    with torch.no_grad():
        found = propose(detector, [image], torch.tensor([[90, 200]]), None, build_looks(config.protocol))
        (expected,) = instantiate(config.postprocess.processor)(found)
    assert len(told["scores"]) > 20
    np.testing.assert_allclose(told["boxes"], expected["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(told["scores"], expected["scores"].numpy(), atol=1e-5)
    assert told["size"] == [90, 200]
    assert len(detector.predict([image])[0]["scores"]) != len(told["scores"])  # with one plain look, something else


def test_predict_measures_heights_in_the_original(weights: Path, tmp_path: Path) -> None:
    """Shown at another size, the same heights of the original are filtered."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    output = tmp_path / "drawn"
    words = [f"source={tmp_path / 'a.png'}", f"weights={weights}", "score_threshold=0.0", "detector=scrfd_tiny"]
    words += ["postprocess=nms_height_filter", "trainer=cpu", "protocol.resize.size=400"]

    def heights(least: float, *more: str) -> list[float]:
        (found,) = predict.found_in(compose("predict", [*words, f"postprocess.processor.min_height={least}", *more]))
        return [box[3] - box[1] for box in found["boxes"]]

    everything = heights(0.0)
    least = float(np.median(everything))
    filtered = heights(least, f"output={output}")
    assert 0 < len(filtered) < len(everything)
    assert min(filtered) >= least
    assert [path.name for path in output.iterdir()] == ["a.png"]


def test_the_record_names_looks_and_their_cost(drawn: Path, tmp_path: Path) -> None:
    data = ["data=synth_faces", f"data.root={drawn}", "data.train_images=16", "data.val_images=8", "data.num_workers=0"]
    words = [*data, *TINY, "protocol.pre_top_k=1000", f"paths.results={tmp_path}", "pictures=1"]
    config = compose("evaluate", [*words, f"paths.runs={tmp_path}"])
    (record,) = evaluate_weights(config, words)
    detector = build_detector(config.detector)
    small, large = detector.complexity((192, 256)), detector.complexity((288, 384))
    assert record.cost is not None
    assert small is not None
    assert large is not None
    assert record.cost.macs == 2 * small.macs + large.macs
    assert record.cost.looks == ((192, 256), (192, 256), (288, 384))
    assert [look["flip"] for look in record.evaluation["protocol"]["looks"]] == [False, True, True]
    assert (record.protocol.base, record.dataset.images) == ("wider_multi_scale", 8)
    assert Record.model_validate_json(record.to_json(), strict=True) == record
    assert list(tmp_path.rglob("*.jpg"))  # the pictures, at the size of the images


def test_a_graph_of_fixed_size_refuses_larger_looks() -> None:
    config = compose("_under_protocol", ["detector=external/scrfd_2.5g_kps_onnx", "protocol=wider_multi_scale"])
    detector = build_detector(config.detector)
    image = torch.zeros(3, 96, 128, dtype=torch.uint8)
    with pytest.raises(ImageError, match=r"at most \(640, 640\), found \(960, 1280\)"):
        propose(detector, [image], torch.tensor([[96, 128]]), None, build_looks(config.protocol)[2:])
