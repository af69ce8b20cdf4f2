"""Wall-clock latency of a detector in three stages, every sample kept.

Differs from the usual scripts on purpose: the device is waited for around each sample, warm-up is apart, suppression is
timed too, and no slow sample is thrown away.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from bench.cost.devices import device_name, measured_device, synchronize
from bench.cost.isolation import CostError, check_input_size

Precision = Literal["fp32", "fp16", "bf16"]
STAGES = ("forward", "postprocess", "end_to_end")
_AUTOCAST = {"fp16": torch.float16, "bf16": torch.bfloat16}


class TimedDetector(Protocol):
    """What `measure_latency` calls on a detector."""

    def __call__(self, images: Tensor) -> Any: ...
    def prepare(self, images: list[Tensor]) -> tuple[Tensor, Any]: ...
    def candidates(self, outputs: Any, sizes: Any) -> Any: ...
    def postprocess(self, candidates: Any) -> list[dict[str, Tensor]]: ...
    def predict(self, images: list[Tensor]) -> list[dict[str, Tensor]]: ...


@dataclass(frozen=True)
class Latency:
    """Samples in milliseconds per batch by stage, in the order they were taken, and what they were taken on."""

    device: str  # "cpu" or "cuda"
    device_name: str
    precision: Precision
    batch_size: int
    threads: int  # CPU threads of one op
    tf32: bool  # whether cuDNN convolutions were allowed TF32; False on the CPU
    warmup: int
    samples_ms: dict[str, tuple[float, ...]]

    def metrics(self) -> dict[str, float]:
        """Flat record keys such as `speed/cuda_fp16_b1/forward_ms_p50` and `speed/cuda_fp16_b1/forward_count`."""
        prefix = f"speed/{self.device}_{self.precision}_b{self.batch_size}"
        flat: dict[str, float] = {}
        for stage, samples in self.samples_ms.items():
            flat |= {f"{prefix}/{stage}_ms_{name}": value for name, value in summarize(samples).items()}
            flat[f"{prefix}/{stage}_count"] = len(samples)
        return flat


def summarize(samples: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 (linear interpolation between samples), mean and min."""
    p50, p90, p99 = (float(value) for value in np.percentile(samples, [50, 90, 99]))
    return {"p50": p50, "p90": p90, "p99": p99, "mean": float(np.mean(samples)), "min": float(min(samples))}


def measure_latency(
    detector: nn.Module,
    images: Sequence[Tensor] | tuple[int, int],
    device: str | torch.device = "cpu",
    precision: Precision = "fp32",
    batch_size: int = 1,
    warmup: int = 10,
    repeats: int = 50,
    threads: int | None = None,
) -> Latency:
    """Time `detector` on uint8 `images` [3, H, W], or on noise of one size (H, W).

    Stages: `forward`, the network alone on a prepared batch; `postprocess`, candidates and suppression on its outputs;
    `end_to_end`, uint8 images in host memory to `predict`'s result, the copy to the device included. A list of images
    is cycled through, `batch_size` at a time. Suppression's cost depends on what is detected: time it on real images.

    fp16 and bf16 are `torch.autocast`, weights staying float32 as under Lightning's mixed precision; fp32 follows the
    caller's TF32 setting, which the result tells. The detector's device and training flags and the number of threads
    are put back afterwards. Raises CostError on arguments that cannot be measured.
    """
    target = measured_device(device)
    _check(precision, batch_size, warmup, repeats, threads)
    pool = _pool(images, batch_size)
    with placed(detector, target), _threads(threads), torch.inference_mode(), _precision(target, precision):
        model = cast(TimedDetector, detector)
        batches = [_batch(pool, batch_size, step) for step in range(warmup + repeats)]
        samples = [_sample(model, batch, target) for batch in batches][warmup:]
        used_threads = torch.get_num_threads()
    return Latency(
        device=target.type,
        device_name=device_name(target),
        precision=precision,
        batch_size=batch_size,
        threads=used_threads,
        tf32=target.type == "cuda" and bool(torch.backends.cudnn.allow_tf32),
        warmup=warmup,
        samples_ms=dict(zip(STAGES, zip(*samples, strict=True), strict=True)),
    )


def _sample(model: TimedDetector, batch: list[Tensor], device: torch.device) -> tuple[float, float, float]:
    """One sample of each stage in milliseconds; taken in turns, so that drift of the clock hits all stages alike."""
    tensor, sizes = model.prepare([image.to(device) for image in batch])
    outputs, forward = _timed(lambda: model(tensor), device)
    _, postprocess = _timed(lambda: model.postprocess(model.candidates(outputs, sizes)), device)
    _, end_to_end = _timed(lambda: model.predict([image.to(device) for image in batch]), device)
    return forward, postprocess, end_to_end


def _timed(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    synchronize(device)
    start = time.perf_counter_ns()
    result = call()
    synchronize(device)
    return result, (time.perf_counter_ns() - start) / 1e6


def _check(precision: str, batch_size: int, warmup: int, repeats: int, threads: int | None) -> None:
    if precision not in get_args(Precision):
        raise CostError(f"expected precision {', '.join(get_args(Precision))}, found {precision!r}")
    at_least = {"batch_size": (batch_size, 1), "warmup": (warmup, 0), "repeats": (repeats, 1), "threads": (threads, 1)}
    for name, (value, least) in at_least.items():
        if value is not None and value < least:
            raise CostError(f"expected {name} of at least {least}, found {value}")


def _pool(images: Sequence[Tensor] | tuple[int, int], batch_size: int) -> list[Tensor]:
    """The images to cycle through; noise from a fixed seed when only a size is given."""
    if isinstance(images, tuple) and not any(isinstance(image, Tensor) for image in images):
        size = check_input_size(cast(tuple[int, int], images))
        generator = torch.Generator().manual_seed(0)
        shape = (batch_size, 3, *size)
        return list(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))
    pool = [image.cpu() for image in cast(Sequence[Tensor], images)]
    if not pool:
        raise CostError("expected at least one image to time, found none; give images or a size (H, W)")
    for image in pool:
        if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
            raise CostError(f"expected uint8 images [3, H, W], found {image.dtype} {list(image.shape)}")
    return pool


def _batch(pool: list[Tensor], batch_size: int, step: int) -> list[Tensor]:
    return [pool[(step * batch_size + offset) % len(pool)] for offset in range(batch_size)]


def _precision(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Held around all samples, so that autocast's cache converts the weights once, not in every sample."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_AUTOCAST[precision])


@contextmanager
def placed(detector: nn.Module, device: torch.device) -> Iterator[None]:
    """`detector` on `device` and in eval mode, then back where and as it was, each module by its own flag."""
    training = {module: module.training for module in detector.modules()}
    home = next((parameter.device for parameter in detector.parameters()), device)
    try:
        detector.to(device).eval()
        yield
    finally:
        detector.to(home)
        for module, flag in training.items():
            module.training = flag


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
