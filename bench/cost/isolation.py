"""A copy of a detector that has shapes but no values, so that measuring it cannot change or slow the original."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import BenchError


class CostError(BenchError):
    """A cost that cannot be measured as asked."""


def check_input_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """Return `input_size` (H, W) as two ints; raises CostError unless it is two positive numbers."""
    if len(input_size) != 2 or any(int(side) != side or side < 1 for side in input_size):
        raise CostError(f"expected an input size (height, width) of two positive integers, found {tuple(input_size)}")
    return int(input_size[0]), int(input_size[1])


def meta_copy(module: nn.Module) -> nn.Module:
    """Deep copy of `module` in eval mode whose parameters and buffers are on the meta device.

    No weight is duplicated on the way: the copy's tensors are made on the meta device to begin with. A Lightning
    trainer that the module is attached to is left out (its loggers and loaders are no part of a network).
    """
    replaced: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        replaced[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        replaced[id(buffer)] = torch.empty_like(buffer, device="meta")
    for part in module.modules():
        trainer = part.__dict__.get("_trainer")
        if trainer is not None:
            replaced[id(trainer)] = None
    return copy.deepcopy(module, replaced).eval()


def run_on_meta(module: nn.Module, images: Tensor) -> Any:
    """Forward `images` [B, 3, H, W] (meta) without gradients; a forward that reads values raises CostError."""
    try:
        with torch.no_grad():
            return module(images)
    except (NotImplementedError, RuntimeError) as error:
        raise CostError(
            f"the forward of {type(module).__name__} does not run on the meta device at "
            f"{images.shape[-2]}x{images.shape[-1]} ({error}); expected a forward(images) that depends on shapes "
            "alone: keep suppression, .item() and tensors that are not buffers out of it"
        ) from error
