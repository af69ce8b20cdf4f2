"""`bench profile`: what detectors cost."""

import math
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import Tensor

from bench.config import compose, instantiate
from bench.cost.complexity import Complexity
from bench.cost.devices import device_name
from bench.cost.latency import measure_latency
from bench.detectors.base import Detector
from bench.detectors.create import build_detector, check_name
from bench.detectors.optimize import optimized
from bench.errors import ConfigError
from bench.run.build import measure_cost
from bench.run.provenance import package_versions
from bench.verbs.output import wants_json, write_json, write_table

COUNTED = "macs: convolutions and matrix products; flops = 2 macs; norm_elements pass through norms, outside macs"
LEFT_OUT = "cost left out: the operations of an external detector run elsewhere, or depend on what it finds"
COST = (
    "params",
    "macs",
    "flops",
    "params_by_component",
    "macs_by_component",
    "looks",
    "macs_per_window",
    "macs_backbone",
    "norm_elements",
)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    if config.profile.threads:
        torch.set_num_threads(int(config.profile.threads))  # first: a session of onnxruntime keeps what it begins with
    rows = [profile(chosen) for chosen in chosen_detectors(config)]
    if as_json:
        write_json(rows)
    else:
        show(rows)


def chosen_detectors(config: DictConfig) -> list[DictConfig]:
    """The configuration itself, all overrides in it; or a copy for each of `detectors`, with the detector's own YAML.

    Raises:
        ConfigError: an unknown name, or overrides of one detector beside several names.
    """
    if not config.detectors:
        return [config]
    given = detector_overrides()
    if given:
        raise ConfigError(
            f"detectors={list(config.detectors)} profiles each detector as its YAML has it; `{given[0]}` would be "
            f"ignored. Profile one with detector=NAME {given[0]}"
        )
    chosen = []
    for name in config.detectors:
        check_name(name)
        one = config.copy()
        one.detector = compose("model", [f"detector={name}"]).detector
        chosen.append(one)
    return chosen


def detector_overrides() -> list[str]:
    """The words of the command line that choose a detector or change one: detector=.., detector.model.head.depth=3."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [word for word in words if word.lstrip("+~").replace("=", ".").split(".")[0] == "detector"]


def profile(config: DictConfig) -> dict[str, Any]:
    """Cost and speed of one detector, as the JSON output has it.

    Raises:
        ConfigError: something that this detector cannot be profiled with.
    """
    detector = build_detector(config.detector)
    detector.postprocess = instantiate(config.postprocess.processor)
    weights = config.weights or config.detector.get("weights")
    if weights is not None:
        detector.load(Path(weights), config.detector.name)
    detector.eval()
    size = timed_size(config, detector)
    row: dict[str, Any] = {"detector": config.detector.name, "input_size": list(size), "counted": COUNTED}
    row["overrides"] = [word for word in detector_overrides() if not word.startswith("detector=")]
    row |= dict.fromkeys(COST) | {"cost_left_out": LEFT_OUT}
    complexity = counted(config, detector)
    if complexity is not None:
        row |= complexity.counts() | {"norm_elements": complexity.norm_elements, "cost_left_out": None}
        row["macs_backbone"] = complexity.macs_of(detector.backbone_components())
    return row | speed(config, detector, size) if config.profile.latency else row


def timed_size(config: DictConfig, detector: Detector) -> tuple[int, int]:
    """Height and width: those asked for, those that a graph of fixed size takes, or else the protocol's."""
    if config.profile.input_size is not None:
        return int(config.profile.input_size[0]), int(config.profile.input_size[1])
    return detector.input_size((int(config.protocol.cost_size[0]), int(config.protocol.cost_size[1])))


def counted(config: DictConfig, detector: Detector) -> Complexity | None:
    """Of one image under the protocol, or at the size asked for."""
    if config.profile.input_size is None:
        return measure_cost(detector, config.protocol)
    return detector.complexity(timed_size(config, detector))


def speed(config: DictConfig, detector: Detector, size: tuple[int, int]) -> dict[str, Any]:
    settings = config.profile
    check_settings(config)
    detector.check_device(settings.device, settings.precision)
    ready = optimized(detector, settings.optimize)
    ready.postprocess = detector.postprocess
    latency = measure_latency(
        ready,
        latency_images(config, size),
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
        warmup=settings.warmup,
        repeats=settings.repeats,
        threads=settings.threads,
    )
    return {
        "speed": latency.metrics(),
        "device": device_name(settings.device),
        "threads": settings.threads or torch.get_num_threads(),
        "optimize": settings.optimize,
        "versions": package_versions(),
    }


def check_settings(config: DictConfig) -> None:
    settings = config.profile
    if settings.input_size is None and config.protocol.get("looks"):
        raise ConfigError(
            f"`{config.protocol.name}` looks at an image several times, and latency is that of one pass; give "
            "profile.input_size=[H,W], or profile.latency=false for the cost alone"
        )
    if settings.optimize == "compiled" and settings.warmup < 1:
        raise ConfigError("profile.optimize=compiled compiles in the first call; expected profile.warmup of at least 1")


def latency_images(config: DictConfig, size: tuple[int, int]) -> list[Tensor] | tuple[int, int]:
    """Images of `profile.source`, resized by the protocol and fitted to `size` (H, W); or the size itself: noise."""
    if config.profile.source is None:
        return size
    return [fit(image, size) for batch in instantiate(config.images) for image in batch["images"]]


def fit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 [3, H, W] cut or padded with grey to `size`."""
    canvas = torch.full((3, *size), 128, dtype=torch.uint8)
    height, width = min(size[0], image.shape[1]), min(size[1], image.shape[2])
    canvas[:, :height, :width] = image[:, :height, :width]
    return canvas


def show(rows: list[dict[str, Any]]) -> None:
    columns = ["detector", "input", "parameters", "MMACs", "MFLOPs", "MACs by component", "ms p50 / p90 / p99"]
    table = []
    for row in rows:
        name = "\n".join([row["detector"], *row["overrides"]])
        size = "x".join(str(side) for side in row["input_size"])
        table.append([name, size, *cost_texts(row), speed_text(row)])
    write_table(columns, table)


def cost_texts(row: dict[str, Any]) -> list[str]:
    if row["cost_left_out"]:
        return ["", "", "", row["cost_left_out"]]
    total = row["macs"] or math.nan
    split = ", ".join(f"{part} {100 * macs / total:.1f} %" for part, macs in row["macs_by_component"].items())
    if row["macs_per_window"]:
        split = ", ".join(f"{part} {macs / 1e6:.3f} M a window" for part, macs in row["macs_per_window"].items())
    return [f"{row['params']:,}", f"{row['macs'] / 1e6:,.3f}", f"{row['flops'] / 1e6:,.3f}", split]


def speed_text(row: dict[str, Any]) -> str:
    """One line a stage: forward, postprocess, end to end."""
    speed = row.get("speed", {})
    lines = [row["optimize"]] if speed and row["optimize"] != "none" else []
    for key in speed:
        if key.endswith("_ms_p50"):
            stem = key.removesuffix("p50")
            values = " / ".join(f"{speed[stem + rank]:.2f}" for rank in ("p50", "p90", "p99"))
            lines.append(f"{stem.split('/')[-1].removesuffix('_ms_')} {values}")
    return "\n".join(lines)
