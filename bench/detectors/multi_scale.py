"""Multi-scale testing with flip: an image is seen in several views, each resized and maybe mirrored.

What is found in them is brought back to the image and put together, and one post-processing decides over all of it, as
in vedadet, TinaFace's own code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.detectors.postprocess import Candidates
from bench.errors import ConfigError

Pixels = NDArray[np.uint8]  # [H, W, 3] RGB
Images = Tensor | Sequence[Tensor]
Raw = Callable[[Images, tuple[int, int] | None], Candidates]


class ResizeRule(Protocol):
    """A resizing rule that can take an image alone."""

    def pixels(self, image: Pixels) -> Pixels: ...


@dataclass(frozen=True)
class View:
    """
    Args:
        resize: from the image to the size at which the detector looks at it.
        flip: mirrored left to right after that.
        keypoint_swaps: for each number of keypoints that a detector may have, the order which a mirrored view brings
            them back to: keypoint k of the image is keypoint swap[k] of the view (left eye and right eye, ...).
    """

    resize: ResizeRule
    flip: bool = False
    keypoint_swaps: Sequence[Sequence[int]] = ()

    def to_image(self, found: Candidates, sizes: Tensor) -> Candidates:
        """Candidates in pixels of the view -> in pixels of the images, whose height and width are `sizes` [B, 2].

        Raises:
            ConfigError: mirrored keypoints without a swap of their number.
        """
        sizes = sizes.to(found.sizes)
        boxes, keypoints = found.boxes, found.keypoints  # [B, N, 4], [B, N, K, 2]
        if self.flip:
            width = found.sizes[:, 1].to(boxes)
            left, top, right, bottom = boxes.unbind(-1)
            boxes = torch.stack([width[:, None] - right, top, width[:, None] - left, bottom], dim=-1)
            if keypoints is not None:
                x, y = keypoints[:, :, self.swap(keypoints.shape[2])].unbind(-1)
                keypoints = torch.stack([width[:, None, None] - x, y], dim=-1)
        scale = (found.sizes / sizes).flip(1).to(boxes)[:, None]  # [B, 1, 2] view over image, x and y
        return Candidates(
            boxes / scale.repeat(1, 1, 2),
            found.scores,
            None if keypoints is None else keypoints / scale[:, None],
            sizes,
        )

    def swap(self, count: int) -> list[int]:
        """The order of `count` keypoints of a mirrored view in the image."""
        for order in self.keypoint_swaps:
            if len(order) == count:
                return list(order)
        if count == 0:
            return []
        has = [list(order) for order in self.keypoint_swaps]
        raise ConfigError(
            f"a mirrored view exchanges left and right: expected the order of {count} keypoints among "
            f"protocol.keypoint_swaps, found {has}; add it, or choose views without flip"
        )


def propose(raw: Raw, images: Images, pad_to: tuple[int, int] | None = None, views: Sequence[View] = ()) -> Candidates:
    """Candidates of images uint8 [3, H, W] of one size, in their pixels: of all views together, or as they are.

    Neighboring views with one resizing rule (plain and mirrored) share its result.

    Args:
        raw: `Detector.raw`.
        pad_to: (height, width) to which images or views are padded.
    """
    if not views:
        return raw(images, pad_to)
    sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64)  # [B, 2]
    originals = [cv2.merge(list(image.cpu().numpy())) for image in images]
    found: list[Candidates] = []
    rule: ResizeRule | None = None
    for view in views:
        if view.resize != rule:
            rule, resized = view.resize, [view.resize.pixels(np.asarray(pixels, np.uint8)) for pixels in originals]
        seen = [as_tensor(pixels, view.flip) for pixels in resized]
        found.append(view.to_image(raw(seen, pad_to), sizes))
    return joined(found)


def as_tensor(pixels: Pixels, flip: bool) -> Tensor:
    """uint8 [H, W, 3], mirrored or not -> [3, H, W], contiguous: from there, normalising takes a third less time."""
    planes = np.empty((3, *pixels.shape[:2]), np.uint8)
    cv2.split(cv2.flip(pixels, 1) if flip else pixels, list(planes))
    return torch.from_numpy(planes)


def joined(found: Sequence[Candidates]) -> Candidates:
    """All candidates of the same images, side by side."""
    keypoints = [part.keypoints for part in found if part.keypoints is not None]
    return replace(
        found[0],
        boxes=torch.cat([part.boxes for part in found], dim=1),
        scores=torch.cat([part.scores for part in found], dim=1),
        keypoints=torch.cat(keypoints, dim=1) if keypoints else None,
    )


def by_size(images: Images, pad_to: tuple[int, int] | None, views: Sequence[View] = ()) -> list[list[int]]:
    """Which images share a forward pass: all where `pad_to` makes them one size, otherwise those that have one.

    Padded to the size of a neighbor, an image would give other candidates in every batch.
    """
    if isinstance(images, Tensor) or (pad_to is not None and not views):
        return [list(range(len(images)))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape[-2:]), []).append(index)
    return list(groups.values())


def picked(images: Images, index: Sequence[int]) -> Images:
    """The images of a group; a batch that is one group stays what it was."""
    return images if len(index) == len(images) else [images[i] for i in index]
