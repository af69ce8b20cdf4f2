"""Exported graphs: any batch and size, named outputs, normalisation inside, and nothing kept that differs."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import bench as suite
from bench.config import compose
from bench.detectors.base import Detector
from bench.errors import ConfigError, WeightsError
from bench.verbs import weights as verb
from bench.weights.onnx import export as onnx_export
from bench.weights.onnx.export import ExportedDetector, export_onnx, fold_std

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Bench = Callable[..., CompletedProcess[str]]
KINDS = [
    "scrfd_tiny",  # basic blocks, average-pooled shortcuts; a head with group norm, shared by strides; landmarks
    "scrfd_0.5g",  # depthwise backbone and head, group norm, no landmarks
    "scrfd_0.5g_kps",  # batch norm, a head for each stride, no learnable scale
    "scrfd_34g",  # bottlenecks, as in resnet_34g
    "tinaface",  # timm's ResNet, bilinear FPN, inception block, IoU branch, fused scores
    "blazeface",  # single and double blocks, zero channels appended, SSD's coder
]


@pytest.fixture
def lively(move_norms: Callable[..., None]) -> Callable[[str], Detector]:
    """A detector in which nothing is left at zero: residual branches, norms, predictors."""

    def build(name: str) -> Detector:
        torch.manual_seed(0)
        detector = suite.create_detector(name)
        move_norms(detector, weights=(0.3, 0.7), std=0.3)
        for key, parameter in detector.head.named_parameters():
            if parameter.ndim == 4:
                nn.init.normal_(parameter, std=0.05)
            elif key.endswith("bias"):
                parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
        return detector

    return build


@pytest.mark.parametrize(
    ("name", "input_type"), [*((name, "float") for name in KINDS), ("scrfd_tiny", "uint8"), ("blazeface", "uint8")]
)
def test_any_batch_and_size(name: str, input_type: str, tmp_path: Path, lively: Callable[[str], Detector]) -> None:
    detector = lively(name)
    difference = export_onnx(detector, tmp_path / "w.onnx", input_type)  # type: ignore[arg-type]
    assert 0 <= difference < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "w.onnx"), providers=["CPUExecutionProvider"])
    for batch, height, width in ((1, 64, 64), (3, 96, 160)):
        images = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
        with torch.no_grad():
            flat, _ = detector.flatten(detector(detector.prepare(images)[0]))
            wanted = {
                "score": detector.raw(images).scores.unflatten(0, (batch, -1)),
                "bbox": flat.deltas,
            }  # TinaFace's scores are fused
        if flat.keypoints is not None:
            wanted["kps"] = flat.keypoints
        names = [f"{kind}_{stride}" for kind in wanted for stride in detector.anchors.strides]
        assert [output.name for output in session.get_outputs()] == names
        fed = images if input_type == "uint8" else images.float()
        found = dict(zip(names, session.run(None, {"images": fed.numpy()}), strict=True))
        for kind, expected in wanted.items():
            joined = np.concatenate([found[f"{kind}_{stride}"] for stride in detector.anchors.strides], axis=1)
            assert float(expected.std()) > 1e-3
            np.testing.assert_allclose(joined, expected, atol=1e-4, rtol=1e-4)


def test_deformable_convolutions_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In words: torch's exporter would print the whole graph first, past Python's own streams."""
    with pytest.raises(
        WeightsError, match=r"expected convolutions that ONNX has .*, found 9 deformable ones .*backbone\.c4"
    ):
        export_onnx(suite.create_detector("tinaface_dcn"), tmp_path / "w.onnx")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


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
    with pytest.raises(WeightsError, match="expected a detector that can be exported to ONNX, found OnnxDetector"):
        export_onnx(suite.create_detector("external/scrfd_2.5g_kps_onnx"), tmp_path / "w.onnx")  # type: ignore[arg-type]


def test_the_command(bench: Bench, tmp_path: Path) -> None:
    torch.save({"state_dict": suite.create_detector("scrfd_tiny").state_dict()}, tmp_path / "w.ckpt")
    words = ["detector=scrfd_tiny", "weights=w.ckpt", "output=out/w.onnx", "channel_block=16", "format=json"]
    done = bench("weights", "export", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["difference"] < 1e-4
    assert (tmp_path / "out" / "w.onnx").is_file()


def test_the_verb(tmp_path: Path) -> None:
    """The command's own work without its start; how it tells errors is the same for every verb."""

    def export(**keys: object) -> None:
        words = [f"{key}={value}" for key, value in keys.items()]
        verb.run(compose("weights", ["action=export", "detector=scrfd_tiny", *words]))

    detector = suite.create_detector("scrfd_tiny")
    torch.save({"state_dict": detector.state_dict()}, tmp_path / "w.ckpt")
    weights, output = tmp_path / "w.ckpt", tmp_path / "w.safetensors"
    export(weights=weights, output=output)
    state = load_file(output)
    assert all(torch.equal(state[key], value) for key, value in detector.state_dict().items())
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    graph = tmp_path / "w.onnx"
    with pytest.raises(ConfigError, match="expected weights=FILE"):
        export(output=graph)
    with pytest.raises(ConfigError, match=r"expected output=FILE.onnx or FILE.safetensors, found w.txt"):
        export(weights=weights, output="w.txt")
    with pytest.raises(WeightsError, match="does not fit detector `scrfd_tiny`"):
        export(weights=tmp_path / "other.safetensors", output=graph)
    with pytest.raises(ConfigError, match="expected channel_block of at least 1, found 0"):
        export(weights=weights, output=graph, channel_block=0)
    assert not graph.exists()
