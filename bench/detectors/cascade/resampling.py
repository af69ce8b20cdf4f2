"""How MTCNN makes images and crops smaller or larger: two rules, which weights trained under one of them can tell.

`AreaWeighted`, the authors' (imResample of Piotr Dollar's toolbox): a shrinking axis averages what an output pixel
covers, parts of pixels by their part; a growing one is linear between the centres of pixels. `AdaptivePooling`,
facenet-pytorch's (`interpolate(mode="area")`): whole pixels from floor(i n / m) to ceil((i + 1) n / m), on any axis.

Both are means over rectangles, hence differences of integral images, for all windows of a batch at once:

    for each window of an image, for each of its m x m output pixels:
        value = sum of the pixels in the rectangle / its area
"""

from typing import Protocol

import torch
from torch import Tensor

from bench.detectors.cascade.integral import IntegralImages

Size = tuple[int, int]


class Resampling(Protocol):
    """A rule of resizing."""

    def level(self, totals: Tensor, size: Size) -> Tensor: ...
    def windows(self, images: IntegralImages, image: Tensor, windows: Tensor, side: int) -> Tensor: ...


class AdaptivePooling:
    """Whole pixels, each counted once or twice: exact in integers."""

    def level(self, totals: Tensor, size: Size) -> Tensor:
        """An image of totals [H + 1, W + 1, 3] at `size` (h, w) -> float32 [h, w, 3] in 0..255."""
        height, width = (int(side) - 1 for side in totals.shape[:2])
        (top, bottom), (left, right) = (
            bins(torch.tensor([side], device=totals.device), count)[:, 0]
            for side, count in zip((height, width), size, strict=True)
        )
        rows = totals.index_select(0, bottom) - totals.index_select(0, top)  # [h, W + 1, 3]
        sums = rows.index_select(1, right) - rows.index_select(1, left)  # [h, w, 3]
        return scaled(sums[None], (bottom - top)[None], (right - left)[None])[0]

    def windows(self, images: IntegralImages, image: Tensor, windows: Tensor, side: int) -> Tensor:
        """Windows [N, 4] xyxy in whole pixels of the images [N], none empty -> float32 [N, side, side, 3]."""
        left, top, right, bottom = windows.unbind(-1)
        y, x = bins(bottom - top, side), bins(right - left, side)  # [2, N, side]
        rows, columns = (y + top[:, None]).movedim(0, 1).flatten(1), (x + left[:, None]).movedim(0, 1).flatten(1)
        totals = images.at(image, rows, columns)  # [N, 2 side, 2 side, 3]
        sums = totals[:, side:] - totals[:, :side]
        sums = sums[:, :, side:] - sums[:, :, :side]
        return scaled(sums, y[1] - y[0], x[1] - x[0])


class AreaWeighted:
    """By the area covered where it shrinks, linear where it grows; the toolbox drops weights below a thousandth."""

    def level(self, totals: Tensor, size: Size) -> Tensor:
        """As `AdaptivePooling.level`; a matrix an axis."""
        height, width = (int(side) - 1 for side in totals.shape[:2])
        if size[0] > height or size[1] > width:  # an axis grows: few pixels, or a face smaller than 12 pixels is wanted
            pixels = totals.diff(dim=0).diff(dim=1).float()
            down, across = (axis_weights(torch.tensor([n]), m, n)[0] for n, m in ((height, size[0]), (width, size[1])))
            rows = torch.tensordot(down.to(pixels), pixels, dims=1)  # [h, W, 3]
            return torch.einsum("xw,hwc->hxc", across.to(pixels), rows)
        y, x = (edges(torch.tensor([n], device=totals.device), m)[0] for n, m in ((height, size[0]), (width, size[1])))
        sums = parts(parts(totals, y, 0), x, 1)  # over [h, W + 1, 3]
        return (sums * (size[0] * size[1] / (height * width))).float()

    def windows(self, images: IntegralImages, image: Tensor, windows: Tensor, side: int) -> Tensor:
        """As `AdaptivePooling.windows`; windows may reach out of their image, into zeros."""
        left, top, right, bottom = windows.unbind(-1)
        grows = torch.minimum(right - left, bottom - top) < side
        found = windows.new_empty((len(windows), side, side, 3), dtype=torch.float32)
        for chosen, rule in ((grows, self.growing), (~grows, self.shrinking)):
            index = chosen.nonzero().squeeze(1)
            if len(index):
                found[index] = rule(images, image[index], windows[index], side)
        return found

    def shrinking(self, images: IntegralImages, image: Tensor, windows: Tensor, side: int) -> Tensor:
        """Totals between pixels are linear in both directions, as the image is constant inside a pixel."""
        left, top, right, bottom = windows.unbind(-1)
        y, x = edges(bottom - top, side), edges(right - left, side)  # float64 [N, side + 1]
        rows, columns = y.long(), x.long()
        rows, columns = (
            torch.stack([at, at + 1], -1).flatten(1) + start[:, None] for at, start in ((rows, top), (columns, left))
        )
        totals = images.at(image, rows, columns).view(len(windows), side + 1, 2, 2 * (side + 1), 3)
        totals = totals - totals[:, :1, :1]  # near the window: a difference that fits, whatever ran over before
        part = y.frac()[:, :, None, None]
        lines = (totals[:, :, 0] + part * (totals[:, :, 1] - totals[:, :, 0])).diff(dim=1)  # [N, side, 2 (side + 1), 3]
        lines = lines.view(len(windows), side, side + 1, 2, 3)
        part = x.frac()[:, None, :, None]
        sums = (lines[:, :, :, 0] + part * (lines[:, :, :, 1] - lines[:, :, :, 0])).diff(dim=2)
        area = ((bottom - top) * (right - left))[:, None, None, None] / side**2
        return (sums / area).float()

    def growing(self, images: IntegralImages, image: Tensor, windows: Tensor, side: int) -> Tensor:
        """Windows with a side below `side`: all their pixels, times a matrix an axis."""
        left, top, right, bottom = windows.unbind(-1)
        longest = int(torch.maximum(right - left, bottom - top).max())
        steps = torch.arange(longest + 1, device=windows.device)
        totals = images.at(image, top[:, None] + steps, left[:, None] + steps)
        pixels = totals.diff(dim=1).diff(dim=2).float()  # [N, longest, longest, 3]
        down, across = axis_weights(bottom - top, side, longest), axis_weights(right - left, side, longest)
        rows = torch.bmm(down, pixels.flatten(2)).view(-1, side, longest, 3)
        return torch.einsum("nxw,nywc->nyxc", across, rows)


RULES: dict[str, Resampling] = {"area_weighted": AreaWeighted(), "adaptive_pooling": AdaptivePooling()}


def bins(sides: Tensor, count: int) -> Tensor:
    """Begin and end of each of `count` bins of axes of `sides` [N] pixels -> int64 [2, N, count]."""
    number = torch.arange(count, device=sides.device)
    return torch.stack([number * sides[:, None] // count, -(-(number + 1) * sides[:, None] // count)])


def edges(sides: Tensor, count: int) -> Tensor:
    """Where `count` equal parts of axes of `sides` [N] pixels begin and end -> float64 [N, count + 1]."""
    return torch.arange(count + 1, device=sides.device) * sides[:, None].double() / count


def scaled(sums: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """Sums [N, h, w, 3] over rectangles of `heights` [N, h] and `widths` [N, w] -> means, float32.

    Row by row and column by column: along rows of 3 w numbers, since a factor for every three of them is slow.
    """
    across = widths.float().reciprocal().repeat_interleave(3, dim=1)  # [N, 3 w]
    means = sums.float().flatten(2).mul_(across[:, None]).mul_(heights.float().reciprocal()[..., None])
    return means.view(sums.shape)


def parts(totals: Tensor, at: Tensor, axis: int) -> Tensor:
    """Sums between neighbors of the places `at` (float64 [n + 1]) of totals [h, w, 3] along an axis -> float64, n.

    Whole pixels are subtracted as they are: integers that ran over differ rightly.
    """
    low = at.long()
    high = (low + 1).clamp(max=totals.shape[axis] - 1)
    begin = totals.index_select(axis, low)
    step = (totals.index_select(axis, high) - begin).flatten(1)  # [h, 3 w]
    share = at.frac()[:, None] if axis == 0 else at.frac().repeat_interleave(3)
    part = (step * share).view(begin.shape)
    return part.diff(dim=axis).add_(begin.diff(dim=axis))


def axis_weights(sides: Tensor, count: int, width: int) -> Tensor:
    """What each of `width` pixels gives to each of `count` outputs of an axis -> float32 [N, count, width].

    Args:
        sides: pixels [N] of the axes that are there; the rest of `width` gets no weight.
    """
    n = sides[:, None, None].double()
    output = torch.arange(count, device=sides.device, dtype=torch.float64)[:, None]
    pixel = torch.arange(width, device=sides.device, dtype=torch.float64)
    begin, end = output * n / count, (output + 1) * n / count
    covered = (torch.minimum(end, pixel + 1) - torch.maximum(begin, pixel)).clamp(min=0) / (n / count)
    center = ((output + 0.5) * n / count - 0.5).clamp(min=0).minimum(n - 1)
    linear = (1 - (center - pixel).abs()).clamp(min=0)
    return (torch.where(n > count, covered, linear) * (pixel < n)).float()
