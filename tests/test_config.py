"""Composition, and which targets a configuration may name."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from bench.boxes import Nms
from bench.config import CONFIG_DIR, check_trusted, compose, instantiate, options, plain, targets
from bench.errors import BenchError, ConfigError
from bench.losses.criterion import DenseCriterion


def test_compose() -> None:
    config = compose(
        "_under_protocol", ["detector=scrfd_2.5g", "detector.model.head.channels=48", "protocol=wider_original"]
    )
    assert config.detector.model.head.channels == 48
    assert config.detector.model.neck.out_channels == 24
    assert config.postprocess.processor.suppression.iou_threshold == 0.45


@pytest.mark.parametrize("detector", options("detector"))
def test_every_part_of_every_detector_is_trusted(detector: str) -> None:
    named = list(targets(compose("model", [f"detector={detector}"])))
    assert len(named) > 5
    for target in named:
        check_trusted(target)


@pytest.mark.parametrize("choice", [f"{group}={name}" for group in ("experiment", "debug") for name in options(group)])
def test_a_cell_of_every_experiment_and_debug(choice: str) -> None:
    config, bare = compose("_cell", ["data=synth_faces", choice]), compose("_cell", ["data=synth_faces"])
    assert plain(config.detector) != plain(bare.detector)
    group, name = choice.split("=")
    assert config.schedule == ("smoke" if group == "debug" else "full")
    header = (CONFIG_DIR / group / f"{name}.yaml").read_text().split("defaults:")[0]
    (command,) = [line for line in header.splitlines() if line.startswith("# bench train ")]
    assert choice in command.split()
    assert "# Expected" in header


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("model", ["detector=scrfd_9000"], ["model", "scrfd_9000", "scrfd_tiny"]),  # what there is instead
        ("model", ["detector.model.haed.channels=3"], ["haed"]),
        ("model", ["detector.model.head.channels=[1"], ["detector.model.head.channels=[1"]),
        ("model", ["nothing=3"], ["nothing"]),
        ("nothing", [], ["nothing"]),
    ],
)
def test_composition_errors_say_what_was_asked(name: str, overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot compose") as caught:
        compose(name, overrides)
    for word in words:
        assert word in str(caught.value)


def test_options_leave_out_parts_of_others() -> None:
    assert {"nms", "soft_nms", "blending"} <= set(options("postprocess"))
    assert "_scrfd" not in options("detector")
    assert (CONFIG_DIR / "detector" / "_scrfd.yaml").exists()
    assert options("no_such_group") == []


def test_plain() -> None:
    assert plain(OmegaConf.create({"a": [1, "${b}"], "b": 2})) == {"a": [1, 2], "b": 2}
    for bad in ({"a": "???"}, {"a": "${nothing}"}):
        with pytest.raises(ConfigError, match="missing or cannot be resolved"):
            plain(OmegaConf.create(bad))


def test_instantiate() -> None:
    node = OmegaConf.create({"_target_": "bench.boxes.suppression.nms.Nms", "iou_threshold": 0.3})
    assert instantiate(node) == Nms(0.3)
    # keyword arguments arrive as they are, nested parts and lists as objects and plain lists
    criterion = compose("model", ["detector=blazeface"]).detector.model.criterion
    coder = object()
    built = instantiate(criterion)(coder=coder)
    assert isinstance(built, DenseCriterion)
    assert built.coder is coder  # type: ignore[comparison-overlap]
    assert type(built.keypoint_map) is list
    assert type(built.keypoint_map[3]) is list


def test_instantiate_partially() -> None:
    node = {"_target_": "torch.optim.SGD", "_partial_": True, "momentum": 0.9}
    optimizer = instantiate(OmegaConf.create(node), lr=0.5)([torch.nn.Parameter(torch.zeros(1))])
    assert (optimizer.defaults["lr"], optimizer.defaults["momentum"]) == (0.5, 0.9)


def nms(**arguments: Any) -> dict[str, Any]:
    return {"_target_": "bench.boxes.suppression.nms.Nms", **arguments}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nms(threshold=3), "Nms.*'threshold'"),
        (nms(), "Nms.*iou_threshold"),
        ({"_target_": "bench.boxes.suppression.nms.Nsm"}, "Nsm` cannot be imported"),
        ({"_target_": "bench.nowhere.Nms"}, "bench.nowhere.Nms` cannot be imported"),
        # a part that refuses says so itself, at any depth
        ({"_target_": "bench.boxes.suppression.soft_nms.SoftNms", "sigma": -1}, "expected sigma > 0, found -1"),
        (
            {
                "_target_": "bench.evaluation.postprocess.PostProcessor",
                "suppression": {"_target_": "bench.boxes.suppression.soft_nms.SoftNms", "sigma": -1},
            },
            "expected sigma > 0, found -1",
        ),
        # one that merely fails is named together with its reason
        (
            {
                "_target_": "bench.evaluation.postprocess.PostProcessor",
                "suppression": {
                    "_target_": "bench.backbones.resnet_v1e.ResNetV1e",
                    "block": "basic",
                    "depths": [1, 1],
                    "widths": [8, 8, 8, 8],
                },
            },
            r"PostProcessor`: .*ResNetV1e(.|\n)*zip\(\)(.|\n)*suppression",
        ),
    ],
)
def test_targets_that_cannot_be_built(node: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        instantiate(OmegaConf.create(node))


UNTRUSTED = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "torch.hub.load",
    "torch.load",
    "benchmark.os.system",  # not inside `bench`
    "hydra.utils.get_method",
    "pytorch_lightning.LightningModule.load_from_checkpoint",
    "lightning_fabric.utilities.cloud_io._load",
    "timm.models.load_checkpoint",
    # paths that leave through what a trusted module imports
    "bench.config.os.system",
    "bench.config.os",
    "bench.config.hydra.utils.get_method",
    "bench.config.functools.partial",
    "bench.run.provenance.subprocess.run",
    "bench.weights.load.torch.load",
    "bench.detectors.dense.DenseDetector.load_from_checkpoint",
    "torch.nn.modules.module.torch.hub.load",
    "timm.models._factory.load_checkpoint",
    "bench.config.CONFIG_DIR.unlink",
    "bench.errors.BenchError.__subclasses__",
    "bench.config.compose.__globals__",
]


@pytest.mark.parametrize("target", UNTRUSTED)
def test_untrusted_targets(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_TRUST", raising=False)
    for node in ({"_target_": target}, nms(iou_threshold=[{"deep": {"_target_": target}}])):
        with pytest.raises(ConfigError, match="outside the trusted modules"):
            instantiate(OmegaConf.create(node))


def test_an_untrusted_target_behind_an_interpolation() -> None:
    node = OmegaConf.create({"_target_": "${name}", "name": "os.getcwd"})
    with pytest.raises(ConfigError, match=r"os\.getcwd` is outside"):
        instantiate(node)


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, which notes that it was imported and takes `system` in from elsewhere."""
    name = "a_package_of_mine"
    (tmp_path / f"{name}.py").write_text("from os import system\n\n\nclass Part:\n    color = 'red'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_bench_trust(own_package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node = OmegaConf.create({"_target_": f"{own_package}.Part"})
    monkeypatch.delenv("BENCH_TRUST", raising=False)
    with pytest.raises(ConfigError, match=f"run with BENCH_TRUST={own_package}"):
        instantiate(node)
    assert own_package not in sys.modules  # refused before anything of it ran
    monkeypatch.setenv("BENCH_TRUST", f"another, {own_package}")
    assert instantiate(node).color == "red"
    with pytest.raises(ConfigError, match="defined in `posix`"):
        instantiate(OmegaConf.create({"_target_": f"{own_package}.system", "command": "true"}))
    with pytest.raises(ConfigError, match="outside the trusted modules"):
        instantiate(OmegaConf.create({"_target_": "os.getcwd"}))
