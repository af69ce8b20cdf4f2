"""Looks: how an evaluation shows an image to a detector, and how what was found comes back to the image.

    for each look:                      plain: one look, the size that the data module loaded
        resize, then mirror the image
        candidates = detector.raw(image)
        candidates back to pixels of the original image
    all candidates together go to one post-processing

This is multi-scale testing with flip as vedadet, TinaFace's own code, does it. The detector knows nothing of looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.detectors.candidates import Candidates, Images
from bench.errors import ConfigError

Pixels = NDArray[np.uint8]  # [H, W, 3] RGB


class ResizeRule(Protocol):
    """A resizing rule that can take an image alone."""

    def pixels(self, image: Pixels) -> Pixels: ...


class Proposer(Protocol):
    """What an evaluation asks of a detector."""

    def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates: ...


@dataclass(frozen=True)
class Look:
    """
    Args:
        resize: from the image to the size at which the detector sees it; None: as it was loaded.
        flip: mirrored left to right after that.
        keypoint_swaps: for each number of keypoints that a detector may have, the order which a mirrored look brings
            them back to: keypoint k of the image is keypoint swap[k] of the look (left eye and right eye, ...).
    """

    resize: ResizeRule | None = None
    flip: bool = False
    keypoint_swaps: Sequence[Sequence[int]] = ()

    def to_original(self, found: Candidates, sizes: Tensor) -> Candidates:
        """Candidates in pixels of the look -> in pixels of the originals, whose height and width are `sizes` [B, 2].

        Raises:
            ConfigError: mirrored keypoints without a swap of their number.
        """
        sizes = sizes.to(found.sizes)
        boxes, keypoints = found.boxes, found.keypoints  # [M, 4], [M, K, 2]
        if self.flip:
            width = found.sizes[found.image, 1].to(boxes)  # [M]
            left, top, right, bottom = boxes.unbind(-1)
            boxes = torch.stack([width - right, top, width - left, bottom], dim=-1)
            if keypoints is not None:
                x, y = keypoints[:, self.swap(keypoints.shape[1])].unbind(-1)
                keypoints = torch.stack([width[:, None] - x, y], dim=-1)
        scale = (
            (found.sizes.double() / sizes.double()).flip(1).to(boxes)[found.image]
        )  # [M, 2] look over image, x and y
        return replace(
            found,
            boxes=boxes / scale.repeat(1, 2),
            sizes=sizes,
            keypoints=None if keypoints is None else keypoints / scale[:, None],
        )

    def swap(self, count: int) -> list[int]:
        """The order of `count` keypoints of a mirrored look in the image."""
        for order in self.keypoint_swaps:
            if len(order) == count:
                return list(order)
        if count == 0:
            return []
        has = [list(order) for order in self.keypoint_swaps]
        raise ConfigError(
            f"a mirrored look exchanges left and right: expected the order of {count} keypoints among "
            f"protocol.keypoint_swaps, found {has}; add it, or choose looks without flip"
        )


PLAIN = (Look(),)


def propose(
    detector: Proposer, images: Images, sizes: Tensor, pad_to: tuple[int, int] | None, looks: Sequence[Look] = PLAIN
) -> Candidates:
    """Candidates of all looks together, in pixels of the original images.

    Neighboring looks with one resizing rule (plain and mirrored) share its result.

    Args:
        images: uint8 [3, H, W] each, as loaded, of one size where the looks have a rule of their own.
        sizes: [B, 2] height and width of the originals.
        pad_to: (height, width) to which what the detector sees is padded.
    """
    if all(look.resize is None and not look.flip for look in looks):
        return looks[0].to_original(detector.raw(images, pad_to), sizes)
    loaded = [cv2.merge(list(image.cpu().numpy())) for image in images]
    found: list[Candidates] = []
    seen: tuple[ResizeRule | None, list[Pixels]] | None = None
    for look in looks:
        if seen is None or seen[0] != look.resize:
            seen = look.resize, [resized(look.resize, pixels) for pixels in loaded]
        shown = [as_tensor(pixels, look.flip) for pixels in seen[1]]
        found.append(look.to_original(detector.raw(shown, pad_to), sizes))
    return Candidates.joined(found)


def resized(rule: ResizeRule | None, pixels: Pixels) -> Pixels:
    return pixels if rule is None else rule.pixels(np.asarray(pixels, np.uint8))


def as_tensor(pixels: Pixels, flip: bool) -> Tensor:
    """uint8 [H, W, 3], mirrored or not -> [3, H, W], contiguous: from there, normalising takes a third less time."""
    planes = np.empty((3, *pixels.shape[:2]), np.uint8)
    cv2.split(cv2.flip(pixels, 1) if flip else pixels, list(planes))
    return torch.from_numpy(planes)
