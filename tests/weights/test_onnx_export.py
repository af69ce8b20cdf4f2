"""Exported graphs: any batch and size, named outputs, normalisation inside, and nothing kept that differs."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bench as suite
from bench.errors import ConfigError, WeightsError
from bench.weights import onnx_export
from bench.weights.onnx_export import ExportedDetector, export_onnx, fold_std

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Bench = Callable[..., CompletedProcess[str]]
KINDS = ["scrfd_tiny", "scrfd_0.5g_kps", "blazeface_tiny"]  # group norm and max-pool; batch norm, depthwise; SSD


@pytest.mark.parametrize("input_type", ["float", "uint8"])
@pytest.mark.parametrize("name", KINDS)
def test_any_batch_and_size(name: str, input_type: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = suite.create_detector(name)
    difference = export_onnx(detector, tmp_path / "w.onnx", input_type)  # type: ignore[arg-type]
    assert 0 <= difference < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "w.onnx"), providers=["CPUExecutionProvider"])
    strides = detector.anchors.strides
    names = [output.name for output in session.get_outputs()]
    assert names == [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in strides]
    for batch, height, width in ((1, 64, 64), (3, 96, 160)):
        images = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
        fed = images if input_type == "uint8" else images.float()
        found = dict(zip(names, session.run(None, {"images": fed.numpy()}), strict=True))
        with torch.no_grad():
            flat, anchors = detector.flatten(detector(detector.prepare(images)[0]))
        np.testing.assert_allclose(
            np.concatenate([found[f"score_{stride}"] for stride in strides], axis=1), flat.logits.sigmoid(), atol=1e-5
        )
        np.testing.assert_allclose(
            np.concatenate([found[f"bbox_{stride}"] for stride in strides], axis=1), flat.deltas, atol=1e-4
        )
        assert sum(found[f"kps_{stride}"].shape[1] for stride in strides) == len(anchors)


def test_exported_runs_as_external_detector(tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = suite.create_detector("scrfd_tiny")
    export_onnx(detector, tmp_path / "w.onnx")
    external = suite.create_detector("external/scrfd_exported", weights=tmp_path / "w.onnx")
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((64, 96), (50, 70))]
    one, two = detector.raw(images), external.raw(images)
    torch.testing.assert_close(one.boxes, two.boxes, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(one.scores, two.scores, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.keypoints, two.keypoints, atol=1e-3, rtol=1e-4)


def test_std_moves_into_the_first_convolution_exactly_where_it_can() -> None:
    detector = suite.create_detector("scrfd_tiny")
    images = torch.rand(1, 3, 64, 64) * 255
    moved, plain = ExportedDetector(detector), ExportedDetector(detector, fold=False)
    assert not moved.divide
    assert plain.divide
    with torch.no_grad():
        for one, two in zip(moved(images), plain(images), strict=True):
            torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)
    double = suite.create_detector("scrfd_tiny")
    double.backbone = torch.nn.Sequential(torch.nn.ReLU(), double.backbone)  # something else reads the image first
    assert not fold_std(double)


def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "fold_std", lambda detector: True)  # claims a division that did not happen
    with pytest.raises(WeightsError, match=r"differs from the module by .* not kept"):
        export_onnx(suite.create_detector("scrfd_tiny"), tmp_path / "w.onnx")
    assert list(tmp_path.iterdir()) == []


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected input_type to be one of float, uint8, found `int8`"):
        export_onnx(suite.create_detector("scrfd_tiny"), tmp_path / "w.onnx", "int8")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="expected a dense detector to export, found OnnxDetector"):
        export_onnx(suite.create_detector("external/scrfd_2.5g_kps_onnx"), tmp_path / "w.onnx")  # type: ignore[arg-type]


def test_the_command(bench: Bench, tmp_path: Path) -> None:
    detector = suite.create_detector("scrfd_tiny")
    torch.save({"state_dict": detector.state_dict()}, tmp_path / "w.ckpt")
    words = ["weights", "export", "detector=scrfd_tiny"]
    done = bench(*words, "weights=w.ckpt", "output=out/w.onnx", "format=json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["difference"] < 1e-4
    assert (tmp_path / "out" / "w.onnx").is_file()
    done = bench(*words, "weights=w.ckpt", "output=w.safetensors")
    assert done.returncode == 0, done.stderr
    state = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(state[key], value) for key, value in detector.state_dict().items())
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for wrong, message in (
        (["output=w.onnx"], "expected weights=FILE"),
        (["weights=w.ckpt", "output=w.txt"], "expected output=FILE.onnx or FILE.safetensors, found w.txt"),
        (["weights=other.safetensors", "output=w.onnx"], "does not fit detector `scrfd_tiny`"),
    ):
        done = bench(*words, *wrong)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
