"""The training pipeline as the released code of SCRFD runs it: float32 from the decoded image on, NumPy and OpenCV.

Written for timing, after the published order and rules; the draws come from the same generator as ours, in the same
order, so that both cut the same square out of the same image.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from data_modules.loading.dataset import TrainImages, target_of
from data_modules.loading.transforms.sample import Sample
from data_modules.loading.transforms.square_crop import SquareCrop

Image = NDArray[np.float32]  # [H, W, 3] BGR


def plain_stages(data: TrainImages, epoch: int, index: int) -> list[tuple[str, Callable[[Any], Any]]]:
    """Steps from an index to (image float32 [3, S, S], target)."""
    rng = np.random.default_rng([data.seed, epoch, index])
    transform: Any = data.transform
    return [
        ("read", lambda index: read(data, index)),
        ("float32", lambda sample: replace(sample, image=sample.image.astype(np.float32))),
        ("crop", lambda sample: crop(sample, transform.crop, rng)),
        ("resize", lambda sample: resize(sample, transform.size)),
        ("flip", lambda sample: flip(sample, rng)),
        ("distort", lambda sample: (distort(sample.image, transform.distortion, rng), sample)),
        ("normalise", lambda pair: (normalise(pair[0]), pair[1])),
        ("tensors", lambda pair: (to_tensor(pair[0]), target_of(data.images[index], pair[1]))),
    ]


def read(data: TrainImages, index: int) -> Sample:
    found = data.images[index]
    image = cv2.imread(str(data.folder / found.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    labels = np.zeros(len(found.boxes), np.int64)
    return Sample(np.asarray(image, np.uint8), found.boxes, labels, found.keypoints, found.ignore)


def crop(sample: Sample, rule: SquareCrop, rng: np.random.Generator) -> Sample:
    """A canvas of 128, and the part of the image that lies in the square copied onto it."""
    left, top, side = rule.place(sample, rng)
    height, width = sample.image.shape[:2]
    canvas = np.full((side, side, 3), 128, np.float32)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    canvas[y1 - top : y2 - top, x1 - left : x2 - left] = sample.image[y1:y2, x1:x2]
    centers = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 - (left, top)
    kept = sample.select(((centers > 0) & (centers < side)).all(axis=1)).moved((1.0, 1.0), (-left, -top))
    return replace(kept, image=canvas)  # type: ignore[arg-type]


def resize(sample: Sample, size: int) -> Sample:
    scale = size / sample.image.shape[0]
    return replace(sample.moved((scale, scale), (0.0, 0.0)), image=cv2.resize(sample.image, (size, size)))


def flip(sample: Sample, rng: np.random.Generator) -> Sample:
    if rng.random() >= 0.5:
        return sample
    moved = sample.moved((-1.0, 1.0), (sample.image.shape[1], 0.0))
    boxes, keypoints = moved.boxes[:, [2, 1, 0, 3]], moved.keypoints[:, [1, 0, 2, 4, 3]]
    return replace(moved, image=np.flip(sample.image, axis=1), boxes=boxes, keypoints=keypoints)


def distort(image: Image, rule: Any, rng: np.random.Generator) -> Image:
    """Brightness, contrast, saturation, hue, channels: a pass over the image for each, nothing clipped."""
    rule.set_random_state(rng, None)
    draw = rule.get_params()
    if draw["brightness"] != 0.0:
        image = image + np.float32(draw["brightness"])
    if draw["contrast_first"] and draw["contrast"] != 1.0:
        image = image * np.float32(draw["contrast"])
    image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    if draw["saturation"] != 1.0:
        image[..., 1] *= draw["saturation"]
    if draw["hue"] != 0.0:
        image[..., 0] += draw["hue"]
        image[..., 0][image[..., 0] > 360] -= 360
        image[..., 0][image[..., 0] < 0] += 360
    image = cv2.cvtColor(image, cv2.COLOR_HSV2BGR)
    if not draw["contrast_first"] and draw["contrast"] != 1.0:
        image = image * np.float32(draw["contrast"])
    return image if draw["channels"].tolist() == [0, 1, 2] else image[..., draw["channels"]]


def normalise(image: Image) -> Image:
    """RGB, mean 127.5, standard deviation 128."""
    image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)
    cv2.subtract(image, (127.5, 127.5, 127.5, 0.0), image)
    cv2.multiply(image, (1 / 128, 1 / 128, 1 / 128, 0.0), image)
    return image


def to_tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
