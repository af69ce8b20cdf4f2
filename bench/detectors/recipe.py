"""How a detector is trained: optimizer, learning rate for a reference batch, warm-up and decay."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Recipe:
    """
    Args:
        optimizer: builds the optimizer from parameters and `lr` (a partial of a torch.optim class).
        lr: learning rate at `reference_batch`; scaled linearly with the batch of one iteration.
        epochs: length of the schedule.
        milestones: fractions of the schedule after which the rate falls to a tenth ("step" decay).
        warmup_iterations, warmup_factor: linear rise from `warmup_factor * lr`.
        grad_clip: largest gradient norm, None does not clip.
        periods, min_factor: "cosine_restarts" falls along so many half cosines of equal length towards `min_factor`,
            each from the full rate; it changes from epoch to epoch, as in SGDR (arXiv 1608.03983) and mmcv.
    """

    optimizer: Callable[..., Optimizer]
    lr: float
    epochs: int
    batch_size: int
    reference_batch: int
    decay: Literal["step", "cosine", "cosine_restarts"] = "step"
    milestones: tuple[float, ...] = ()
    warmup_iterations: int = 0
    warmup_factor: float = 0.001
    grad_clip: float | None = None
    periods: int = 1
    min_factor: float = 0.0

    def factor(self, step: int, total: int) -> float:
        """The learning rate after `step` of `total` iterations, as a multiple of its peak."""
        if step < self.warmup_iterations:
            return self.warmup_factor + (1 - self.warmup_factor) * step / self.warmup_iterations
        progress = step / max(total, 1)
        if self.decay == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        if self.decay == "cosine_restarts":
            epoch = step * self.epochs // max(total, 1)
            phase = epoch * self.periods % self.epochs / self.epochs
            return self.min_factor + (1 - self.min_factor) * 0.5 * (1 + math.cos(math.pi * phase))
        return 0.1 ** sum(progress >= milestone for milestone in self.milestones)

    def build(self, parameters: Iterable[nn.Parameter], total: int, batches: int = 1) -> tuple[Optimizer, LambdaLR]:
        """The optimizer, and its schedule stepped once an iteration for `total` iterations.

        An iteration takes in `batches` batches: those of all processes, and those whose gradients accumulate.
        """
        rate = self.lr * self.batch_size * batches / self.reference_batch
        optimizer = self.optimizer(parameters, lr=rate)
        return optimizer, LambdaLR(optimizer, lambda step: self.factor(step, total))
