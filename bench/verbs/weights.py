"""`bench weights import|export`: published checkpoints in, safetensors or ONNX out."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from bench.config import instantiate
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.errors import ConfigError
from bench.records.identity import digest_of_files, file_sha256
from bench.verbs.output import wants_json, write_json
from bench.weights.files import write_safetensors
from bench.weights.norms import calibrate
from bench.weights.onnx.export import export_onnx

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    actions = {"import": import_weights, "export": export_weights}
    if config.action not in actions:
        raise ConfigError(f"expected `bench weights import` or `bench weights export`, found `{config.action}`")
    report = actions[config.action](config)
    if as_json:
        write_json(report)
    else:
        log.info("%s", ", ".join(f"{key} {value}" for key, value in report.items()))


def import_weights(config: DictConfig) -> dict[str, Any]:
    """A published file into safetensors of our detector."""
    if config.source is None:
        raise ConfigError("expected source=FILE.onnx, the published file, or a folder of MTCNN's three; found none")
    source, output = Path(config.source), wanted_output(config, (".safetensors",))
    detector = build_detector(config.detector)
    detector.load_state_dict(detector.published(source, config.detector.name))
    if config.calibration is not None:
        calibrate(detector, calibration_batches(config, detector))
    facts = {"detector": str(config.detector.name), "source": source.name, "source_sha256": source_sha256(source)}
    write_safetensors(detector.state_dict(), output, facts)
    return {"output": str(output), "sha256": file_sha256(output), **facts}


def source_sha256(source: Path) -> str:
    """Of a file; of a folder, of the hashes of its weights in the order of their names."""
    if source.is_file():
        return file_sha256(source)
    return digest_of_files(sorted(source.glob("*.pt")))


def calibration_batches(config: DictConfig, detector: Detector) -> Iterator[Tensor]:
    """Images of the folder, resized by the protocol and normalised."""
    images = instantiate(
        OmegaConf.merge(config.images, {"source": config.calibration, "eval_resize": config.protocol.resize})
    )
    for batch in images:
        yield detector.prepare(batch["images"])[0]


def export_weights(config: DictConfig) -> dict[str, Any]:
    """Weights of a detector as safetensors or ONNX, by the name of the output."""
    if config.weights is None:
        raise ConfigError("expected weights=FILE (.safetensors or .ckpt) to export, found none")
    output = wanted_output(config, (".onnx", ".safetensors"))
    detector = build_detector(config.detector)
    detector.load(Path(config.weights), config.detector.name)
    facts = {"detector": str(config.detector.name), "source_sha256": file_sha256(Path(config.weights))}
    report: dict[str, Any] = {"output": str(output), **facts}
    if output.suffix == ".onnx":
        block = int(config.channel_block)
        report["difference"] = export_onnx(detector, output, config.input_type, channel_block=block)
    else:
        write_safetensors(detector.state_dict(), output, facts)
    return report | {"sha256": file_sha256(output)}


def wanted_output(config: DictConfig, suffixes: tuple[str, ...]) -> Path:
    if config.output is None or Path(config.output).suffix not in suffixes:
        names = " or ".join(f"FILE{suffix}" for suffix in suffixes)
        raise ConfigError(f"expected output={names}, found {config.output}")
    return Path(config.output)
