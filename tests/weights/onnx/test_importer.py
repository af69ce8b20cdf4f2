"""Published ONNX files into our modules: equal to onnxruntime where they fit, refused with reasons where not."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import bench as suite
from bench.detectors.base import Detector
from bench.errors import WeightsError
from bench.weights.module_graph import module_operators
from bench.weights.norms import calibrate
from bench.weights.onnx.export import ExportedDetector
from bench.weights.onnx.importer import import_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PUBLISHED = {"scrfd_2.5g_kps": "scrfd_2.5g_kps.onnx", "scrfd_0.5g_kps": "scrfd_500m_kps.onnx"}
Bench = Callable[..., CompletedProcess[str]]
Exported = Callable[..., Detector]


@pytest.fixture(scope="module", params=PUBLISHED)
def published(request: pytest.FixtureRequest, shared: Path) -> tuple[Detector, Path]:
    path = shared / "weights" / PUBLISHED[request.param]
    detector = suite.create_detector(request.param)
    detector.load_state_dict(import_onnx(detector, path, request.param))
    return detector, path


def real_image(path: Path) -> Tensor:
    """uint8 [3, h, w] with a longer side of at most 640."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((640, 640))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


@pytest.mark.parametrize("kind", ["noise", "real"])
def test_raw_outputs_equal_onnxruntime(published: tuple[Detector, Path], kind: str, shared: Path) -> None:
    detector, path = published
    if kind == "noise":
        generator = torch.Generator().manual_seed(1)
        images = [torch.randint(0, 256, (3, 640, 640), dtype=torch.uint8, generator=generator)]
    else:
        images = [real_image(file) for file in sorted((shared / "reference" / "images").iterdir())]
        assert len(images) == 3
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for image in images:
        batch, _ = detector.prepare([image], (640, 640))
        with torch.no_grad():
            own = detector.graph_outputs(detector(batch))
        theirs = session.run(None, {"images": batch.numpy()})
        assert len(own) == len(theirs) == 9
        for (name, values), other in zip(own.items(), theirs, strict=True):
            np.testing.assert_allclose(values.numpy(), other, atol=1e-4, rtol=0, err_msg=name)
        if kind == "real":
            assert max(float(own[f"score_{stride}"].max()) for stride in (8, 16, 32)) > 0.6  # there are faces


def test_faces_are_found(published: tuple[Detector, Path], shared: Path, tmp_path: Path) -> None:
    detector, path = published
    name = {file: name for name, file in PUBLISHED.items()}[path.name]
    save_file(detector.state_dict(), tmp_path / "w.safetensors")
    loaded = suite.create_detector(name, weights=tmp_path / "w.safetensors")
    external = suite.create_detector(f"external/{name}_onnx", weights=path)
    image = real_image(min((shared / "reference" / "images").iterdir()))
    with torch.no_grad():
        one, two = (found.postprocess(found.raw([image], (640, 640)))[0] for found in (loaded, external))
    assert float(one["scores"][0]) > 0.6
    for key in one:
        torch.testing.assert_close(one[key], two[key], atol=1e-2, rtol=0)  # pixels; strides multiply differences


def test_our_own_export_comes_back(tmp_path: Path, exported: Exported) -> None:
    """Round trip of what the exporter folded: the norms, and the division by std into the first convolution."""
    path = tmp_path / "w.onnx"
    detector = exported("scrfd_0.5g_kps", path)
    again = suite.create_detector("scrfd_0.5g_kps")
    again.load_state_dict(import_onnx(again, path, "scrfd_0.5g_kps"))
    images = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        expected = ExportedDetector(detector, fold=False)(images)
        found = again.graph_outputs(again(images - again.mean))
    for own, other in zip(expected, found.values(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)


def test_a_graph_that_normalises_is_refused(tmp_path: Path, exported: Exported) -> None:
    """Our detector normalises before its first convolution; these weights would be wrong behind that."""
    exported("scrfd_0.5g_kps", tmp_path / "w.onnx", normalisation=True)
    with pytest.raises(WeightsError, match=r"1 mismatches:\n.*before it \('sub',\); backbone.stem.0 expects before it"):
        import_onnx(suite.create_detector("scrfd_0.5g_kps"), tmp_path / "w.onnx", "scrfd_0.5g_kps")


def test_names_do_not_matter_and_nodes_may_be_renumbered(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / "scrfd_2.5g_kps.onnx"
    model = onnx.load(str(path))
    renamed = {tensor.name: f"w{index}" for index, tensor in enumerate(model.graph.initializer)}
    for tensor in model.graph.initializer:
        tensor.name = renamed[tensor.name]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    tensors = list(model.graph.initializer)
    random.Random(0).shuffle(tensors)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    onnx.save(model, str(tmp_path / "renamed.onnx"))
    detector = suite.create_detector("scrfd_2.5g_kps")
    one = import_onnx(detector, path, "x")
    two = import_onnx(detector, tmp_path / "renamed.onnx", "x")
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_another_detector_is_refused_with_the_list(shared: Path) -> None:
    detector = suite.create_detector("scrfd_tiny")
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        import_onnx(detector, shared / "weights" / "scrfd_2.5g_kps.onnx", "scrfd_tiny")
    message = str(caught.value)
    assert "does not fit detector `scrfd_tiny`: 42 operators expected, 60 found, 59 mismatches" in message
    assert "548 has weight (12, 3, 3, 3); backbone.stem.0 expects weight (8, 3, 3, 3)" in message
    assert "and 39 more" in message
    assert "detector=..." in message
    assert all(torch.equal(value, before[key]) for key, value in detector.state_dict().items())


def test_same_shapes_wired_otherwise_are_refused(shared: Path, tmp_path: Path) -> None:
    """Two lateral convolutions of 2.5G have one shape: exchange their inputs, and only the wiring tells."""
    model = onnx.load(str(shared / "weights" / "scrfd_2.5g_kps.onnx"))
    laterals = [node for node in model.graph.node if node.op_type == "Conv" and "lateral" in node.input[1]]
    laterals[0].input[0], laterals[1].input[0] = laterals[1].input[0], laterals[0].input[0]
    onnx.save(model, str(tmp_path / "wired.onnx"))
    with pytest.raises(WeightsError, match=r"2 mismatches:\n.*lateral_convs\.0.* has inputs from operators"):
        import_onnx(suite.create_detector("scrfd_2.5g_kps"), tmp_path / "wired.onnx", "scrfd_2.5g_kps")


@pytest.mark.parametrize("change", ["missing relu", "stride", "norm apart"])
def test_other_arithmetic_between_the_same_weights_is_refused(
    change: str, tmp_path: Path, exported: Exported, bypass: Callable[[Any, Any], None]
) -> None:
    path = tmp_path / "w.onnx"
    exported("scrfd_0.5g_kps", path)
    model = onnx.load(str(path))
    nodes = model.graph.node
    convolution = next(node for node in nodes if node.op_type == "Conv")
    if change == "missing relu":
        bypass(nodes, next(node for node in nodes if node.op_type == "Relu"))
        expected = r"before it \(\); backbone.stem.3.0 expects before it \('relu',\)"
    elif change == "stride":
        next(a for a in convolution.attribute if a.name == "strides").ints[:] = [1, 1]
        expected = r"has stride \(1, 1\); backbone.stem.0 expects stride \(2, 2\)"
    else:
        for name in "abcd":
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(16, np.float32), name))
        output = convolution.output[0]
        convolution.output[0] = "before"
        norm = onnx.helper.make_node("BatchNormalization", ["before", *"abcd"], [output])
        nodes.insert(list(nodes).index(convolution) + 1, norm)
        expected = (
            "BatchNormalization .* has weights of its own; expected convolutions with their batch norms folded in"
        )
    onnx.save(model, str(path))
    with pytest.raises(WeightsError, match=expected):
        import_onnx(suite.create_detector("scrfd_0.5g_kps"), path, "scrfd_0.5g_kps")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_factors_of_sizes_are_no_weights(tmp_path: Path) -> None:
    """A map enlarged by a constant factor, which the exporter stores among the weights."""

    class Enlarged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(nn.functional.interpolate(self.first(x), scale_factor=2.0))

    net, path = Enlarged().eval(), tmp_path / "w.onnx"
    torch.onnx.export(net, (torch.zeros(1, 3, 4, 4),), str(path), opset_version=11, dynamo=False)
    factors = [onnx.numpy_helper.to_array(t) for node in onnx.load(str(path)).graph.node for t in constants(node)]
    assert [2.0, 2.0] in [values.tolist()[-2:] for values in factors if values.ndim]
    state = import_onnx(Enlarged(), path, "net")
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in state.items())


def constants(node: Any) -> list[Any]:
    return [attribute.t for attribute in node.attribute if node.op_type == "Constant"]


def test_unreadable_files(tmp_path: Path) -> None:
    detector = suite.create_detector("scrfd_tiny")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX model"):
        import_onnx(detector, tmp_path / "text.onnx", "scrfd_tiny")
    with pytest.raises(WeightsError, match="found none"):
        import_onnx(detector, tmp_path / "none.onnx", "scrfd_tiny")


def test_places_cover_every_tensor() -> None:
    """Of every convolutional detector with batch norms."""
    detector = suite.create_detector("scrfd_10g_kps")
    places = [place for _, place in module_operators(detector)]
    covered = {name for place in places for name in (place.weight, place.bias) if name}
    covered |= {f"{place.norm}.{name}" for place in places if place.norm for name in ("weight", "bias")}
    assert covered == {name for name, _ in detector.named_parameters()}


def test_folded_norms_are_exact_and_train_after_calibration(published: tuple[Detector, Path], shared: Path) -> None:
    detector, _ = published
    norm = next(module for module in detector.modules() if isinstance(module, nn.BatchNorm2d))
    values = torch.randn(2, norm.num_features, 9, 9)
    assert torch.equal(norm(values), values + norm.bias.view(1, -1, 1, 1))

    images = [real_image(file) for file in sorted((shared / "reference" / "images").iterdir())]
    batch, _ = detector.prepare(images, (640, 640))
    trained = suite.create_detector({48: "scrfd_2.5g_kps"}.get(detector.backbone.out_channels[1], "scrfd_0.5g_kps"))
    trained.load_state_dict(detector.state_dict())
    with torch.no_grad():
        before = detector.graph_outputs(detector(batch))
        uncalibrated = trained.graph_outputs(trained.train()(batch))
        trained.load_state_dict(detector.state_dict())
        calibrate(trained.eval(), [batch])
        kept = trained.graph_outputs(trained(batch))
        in_training = trained.graph_outputs(trained.train()(batch))
    for name, values in before.items():
        torch.testing.assert_close(kept[name], values, atol=2e-4, rtol=1e-3)
        far, near = (float((other[name] - values).abs().max()) for other in (uncalibrated, in_training))
        assert near < 0.01 * max(1.0, far), name  # the batch's own statistics are the calibrated ones
    scores = [
        max(float(found[f"score_{s}"].max()) for s in (8, 16, 32)) for found in (before, uncalibrated, in_training)
    ]
    assert scores[0] > 0.6
    assert abs(scores[2] - scores[0]) < 0.01


def test_the_command(bench: Bench, shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "scrfd_500m_kps.onnx"
    words = ["weights", "import", "detector=scrfd_0.5g_kps", f"source={source}"]
    done = bench(*words, "output=w.safetensors", f"calibration={shared / 'reference' / 'images'}", "format=json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata()["source_sha256"] == report["source_sha256"]
        assert file.metadata()["detector"] == "scrfd_0.5g_kps"
    for wrong, message in (
        (["output=w.pt"], "expected output=FILE.safetensors, found w.pt"),
        (["output=x.safetensors", "detector=scrfd_tiny"], "does not fit detector `scrfd_tiny`"),
    ):
        done = bench(*words, *wrong)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.safetensors").exists()
