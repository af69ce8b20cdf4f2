"""The pixel work of `SquareCropAugmentation` in torch: the same draws, the same rules, another rounding.

Bilinear interpolation and the photometric distortion agree with the CPU path to a grey level or two; what is cut out
and whether it is mirrored agree exactly. The formulas of the distortion: `transforms/photometric.py`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from data_modules.loading.transforms.photometric import Distortion
from data_modules.loading.transforms.square_crop import Square
from data_modules.loading.transforms.square_crop_augmentation import TrainDraws


def train_pixels(images: Sequence[Tensor], draws: Sequence[TrainDraws], size: int, fill: int) -> Tensor:
    """uint8 [3, H, W] each of its own size, all on one device -> uint8 [B, 3, size, size] there.

    Args:
        images: as decoded.
        draws: what to do with each of them.
        size: side of the training images.
        fill: the grey value outside an image.
    """
    batch = torch.empty(len(images), 3, size, size, device=images[0].device)
    for place, (image, draw) in enumerate(zip(images, draws, strict=True)):
        batch[place] = square_resized(image, draw.square, size, fill)
    batch = batch.round_()  # the CPU path resizes to uint8, and distorts that
    mirrored = torch.tensor([draw.mirrored for draw in draws], device=batch.device)
    batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    return distort_batch(batch, [draw.distortion for draw in draws])


def square_resized(image: Tensor, square: Square, size: int, fill: int) -> Tensor:
    """The square of uint8 [3, H, W], bilinear: float32 [3, size, size]."""
    left, top, side = square
    height, width = image.shape[1:]
    inner = image[:, max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)].float()
    borders = (max(-left, 0), max(left + side - width, 0), max(-top, 0), max(top + side - height, 0))
    if any(borders):
        inner = pad(inner, borders, value=float(fill))
    if side == size:
        return inner
    resized: Tensor = interpolate(inner[None], (size, size), mode="bilinear", align_corners=False)[0]
    return resized


def distort_batch(images: Tensor, draws: Sequence[Distortion]) -> Tensor:
    """float [B, 3, H, W] in 0..255, one draw for each image -> uint8 [B, 3, H, W]."""
    names = ("brightness", "contrast", "saturation", "hue")
    table = torch.tensor([[getattr(draw, name) for name in names] for draw in draws], dtype=torch.float32)
    brightness, contrast, saturation, hue = table.to(images.device).T[..., None, None, None]  # [B, 1, 1, 1] each
    largest, smallest = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    pixels = _turned(images, largest, smallest, hue / 60.0)
    pixels = torch.where(largest + brightness < 0.0, 2.0 * largest - pixels, pixels)
    pixels = contrast * (brightness + largest + saturation * (pixels - largest))
    channels = torch.tensor([draw.channels for draw in draws], device=images.device)  # [B, 3]
    distorted = pixels.round_().clamp_(0, 255).to(torch.uint8)
    shuffled: Tensor = distorted[torch.arange(len(draws), device=images.device)[:, None], channels]
    return shuffled


def _turned(images: Tensor, largest: Tensor, smallest: Tensor, sixths: Tensor) -> Tensor:
    """The hue turned by `sixths` [B, 1, 1, 1] of the circle, forward or back."""
    turn = sixths.abs() * (largest - smallest)
    third = (largest + smallest - images).clamp_(smallest + turn, largest - turn)
    y, z = images.roll(-1, dims=1), third.roll(-2, dims=1)
    y = torch.where(sixths > 0, y, images.roll(-2, dims=1))
    z = torch.where(sixths > 0, z, third.roll(-1, dims=1))
    return (images - y).add_(z).clamp_(smallest, largest)
