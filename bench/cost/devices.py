"""The devices the suite measures on: what they are called, and waiting for them."""

import platform
from pathlib import Path

import torch

from bench.cost.isolation import CostError


def measured_device(device: str | torch.device) -> torch.device:
    """Return `device` as a torch.device; raises CostError unless it is the CPU or a CUDA device that is present."""
    found = torch.device(device)
    if found.type not in ("cpu", "cuda"):
        raise CostError(f"expected device cpu or cuda, found {str(device)!r}")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise CostError("expected a CUDA device, but torch finds none; measure with device=cpu")
    return found


def device_name(device: str | torch.device) -> str:
    """Name for people: the GPU's as CUDA gives it, or the CPU's model from /proc/cpuinfo (else from `platform`)."""
    found = measured_device(device)
    if found.type == "cuda":
        return torch.cuda.get_device_name(found)
    return _cpu_model(Path("/proc/cpuinfo")) or platform.processor() or platform.machine() or "unknown CPU"


def synchronize(device: torch.device) -> None:
    """Wait until `device` has finished what was queued; the CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cpu_model(cpuinfo: Path) -> str:
    """The first "model name" of a Linux cpuinfo file; "" where there is none (no such file, or an Arm kernel)."""
    if not cpuinfo.is_file():
        return ""
    for line in cpuinfo.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""
