"""Batch norms behind convolutions that already carry them.

A published graph computes W'x + b', its norms folded in. Our module has a convolution without bias and a norm, which in
evaluation computes (y - mean) / sqrt(var + eps) * weight + bias. With mean 0, weight 1 and var = 1 - eps the root is
exactly 1 and the division leaves every bit alone, so that bias = b' gives W'x + b' (var = 1 and weight = sqrt(1 + eps)
would round twice).

Training is another matter: there the norm divides by the statistics of the batch, and W'x has neither mean 0 nor
variance 1; the network would start from outputs it never gave. `calibrate` measures these statistics on images and
absorbs them, after which a training step starts from what evaluation computes.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def folded(norm: nn.BatchNorm2d, bias: Tensor) -> dict[str, Tensor]:
    """The norm's tensors, by their names in it, with which it adds `bias` [C] and does nothing else."""
    running = torch.ones_like(bias)
    return {
        "weight": torch.ones_like(bias),
        "bias": bias.clone(),
        "running_mean": torch.zeros_like(bias),
        "running_var": running - norm.eps,
        "num_batches_tracked": torch.zeros((), dtype=torch.int64),
    }


class _Moments:
    """Mean and variance per channel over everything that passes."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.total = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """values [B, C, H, W]"""
        values = values.detach().double().cpu()
        self.count += values.numel() // values.shape[1]
        self.total += values.sum(dim=(0, 2, 3))
        self.squares += values.square().sum(dim=(0, 2, 3))

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean = self.total / self.count
        return mean, (self.squares / self.count - mean.square()).clamp(min=0)


@torch.no_grad()
def calibrate(detector: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every batch norm the statistics of what reaches it, keeping what it computes in evaluation.

    One pass suffices: since no norm's function changes, neither do the inputs of the norms behind it.

    Args:
        batches: normalised images [B, 3, H, W]; the more and the more varied, the better.
    """
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    moments = {norm: _Moments(norm.num_features) for norm in norms}
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: moments[module].add(inputs[0])) for norm in norms]
    was_training = detector.training
    detector.eval()
    for batch in batches:
        detector(batch)
    for hook in hooks:
        hook.remove()
    detector.train(was_training)
    for norm in norms:
        if moments[norm].count:
            _absorb(norm, *moments[norm].mean_and_variance())


def _absorb(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double().cpu() / (norm.running_var.double().cpu() + norm.eps).sqrt()
    offset = norm.bias.double().cpu() - norm.running_mean.double().cpu() * slope
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + mean * slope)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
