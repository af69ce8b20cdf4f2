"""`bench profile`: what detectors cost."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.config import compose, instantiate
from bench.cost.complexity import measure_complexity
from bench.cost.devices import device_name
from bench.cost.latency import measure_latency
from bench.detectors.create import create_detector
from bench.grid.provenance import package_versions
from bench.verbs.output import wants_json, write_json, write_table

COUNTED = "macs: convolutions and matrix products; flops = 2 macs; norm_elements pass through norms, outside macs"


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    names = list(config.detectors) or [config.detector.name]
    rows = [profile(name, config) for name in names]
    if as_json:
        write_json(rows)
    else:
        show(rows)


def profile(name: str, config: DictConfig) -> dict[str, Any]:
    """Cost and speed of one detector, as the JSON output has it."""
    settings = config.profile
    own = compose("model", [f"detector={name}", f"protocol={config.protocol.name}"])
    size = tuple(int(side) for side in settings.input_size or own.protocol.input_size)
    detector = create_detector(name, config.weights, config.postprocess.name, config.protocol.name)
    complexity = measure_complexity(detector, (size[0], size[1]))
    backbone = detector.backbone_components()
    result: dict[str, Any] = {
        "detector": name,
        "input_size": list(size),
        "params": complexity.params,
        "macs": complexity.macs,
        "flops": complexity.flops,
        "macs_backbone": sum(complexity.macs_by_component[part] for part in backbone) if backbone else None,
        "macs_by_component": complexity.macs_by_component,
        "params_by_component": complexity.params_by_component,
        "norm_elements": complexity.norm_elements,
        "counted": COUNTED,
    }
    if settings.latency:
        latency = measure_latency(
            detector,
            latency_images(config, (size[0], size[1])),
            device=settings.device,
            precision=settings.precision,
            batch_size=settings.batch_size,
            warmup=settings.warmup,
            repeats=settings.repeats,
            threads=settings.threads,
        )
        result["speed"] = latency.metrics()
        result["device"] = device_name(settings.device)
        result["threads"] = settings.threads or torch.get_num_threads()
        result["versions"] = package_versions()
    return result


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
    table = []
    for row in rows:
        split = ", ".join(f"{part} {100 * macs / row['macs']:.1f} %" for part, macs in row["macs_by_component"].items())
        size = "x".join(str(side) for side in row["input_size"])
        table.append(
            [
                row["detector"],
                size,
                f"{row['params']:,}",
                f"{row['macs'] / 1e6:,.3f}",
                f"{row['flops'] / 1e6:,.3f}",
                split,
                speed_text(row.get("speed", {})),
            ]
        )
    write_table(
        ["detector", "input", "parameters", "MMACs", "MFLOPs", "MACs by component", "ms p50 / p90 / p99"], table
    )


def speed_text(speed: dict[str, float]) -> str:
    """One line a stage: forward, postprocess, end to end."""
    lines = []
    for key in speed:
        if key.endswith("_ms_p50"):
            stem = key.removesuffix("p50")
            values = " / ".join(f"{speed[stem + rank]:.2f}" for rank in ("p50", "p90", "p99"))
            lines.append(f"{stem.split('/')[-1].removesuffix('_ms_')} {values}")
    return "\n".join(lines)
