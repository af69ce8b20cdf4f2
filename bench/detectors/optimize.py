"""A detector made ready to run fast: the same predictions up to rounding, no training any more."""

import os
import shutil
import sys

import torch

from bench.detectors.base import Detector
from bench.detectors.external.base import ExternalDetector
from bench.errors import ConfigError

OPTIMIZATIONS = ("none", "folded", "compiled")


def optimized(detector: Detector, how: str) -> Detector:
    """The detector itself for "none", else a copy in evaluation mode.

    "folded": batch norms inside the convolutions, weights and batches channels last. "compiled": that, and
    `torch.compile` with the weights frozen in. It compiles when a size of the batch is first met, for seconds or
    minutes, and again where `torch.no_grad` (`predict`) and inference mode (Lightning's validation) take turns.

    Raises:
        ConfigError: an unknown optimization, an external detector, or no C++ compiler for "compiled" on a CPU.
        WeightsError: a detector whose norms cannot be found, since it cannot be traced.
    """
    if how not in OPTIMIZATIONS:
        raise ConfigError(f"expected an optimization among {', '.join(OPTIMIZATIONS)}, found `{how}`")
    if how == "none":
        return detector
    ready = detector.folded()
    if how == "compiled" and isinstance(detector, ExternalDetector):
        raise ConfigError(f"expected a detector of this suite to be {how}, found {type(detector).__name__}")
    if how == "compiled":
        compile_forward(ready)
    return ready


def compile_forward(detector: Detector) -> None:
    """`torch.compile` for inference: weights become constants, packed for the kernels, and activations join these.

    Freezing is a switch of the whole process (inductor reads it while it compiles, which happens later); it does
    nothing to what is compiled with gradients.
    """
    if next(detector.parameters()).device.type == "cpu":
        require_compiler()
    torch._inductor.config.freezing = True
    detector.compile(dynamic=False)


def require_compiler() -> str:
    """Where the C++ compiler is that inductor will call.

    Raises:
        ConfigError: there is none.
    """
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"torch.compile needs a C++ compiler, found no `{name}`; install one, or name it in CXX")
    return found
