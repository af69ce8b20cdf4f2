"""Detections drawn into pictures, and several pictures on one sheet."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError

Image = NDArray[np.uint8]

BOX = (255, 176, 0)
TRUTH = (60, 220, 130)
POINTS = ((80, 170, 255), (80, 170, 255), (255, 95, 140), (180, 120, 255), (180, 120, 255))  # eyes, nose, mouth
FONT = cv2.FONT_HERSHEY_SIMPLEX


class DrawingError(BenchError):
    """Something that cannot be drawn: a picture or boxes of the wrong shape."""


def draw_detections(
    image: ArrayLike,
    boxes: ArrayLike,
    scores: ArrayLike | None = None,
    keypoints: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    score_threshold: float = 0.0,
) -> Image:
    """A copy of the picture with boxes, their scores, landmarks and, beneath them, the ground truth.

    image: uint8 RGB [H, W, 3]; boxes and truth: xyxy pixels [N, 4]; scores: [N]; keypoints: [N, K, 2] or [N, K, 3] with
    visibility. CPU tensors will do. Detections below `score_threshold` are left out. Raises DrawingError.
    """
    canvas = _canvas(image)
    found = _array(boxes, 4)  # [N, 4]
    confidence = np.ones(len(found)) if scores is None else np.asarray(scores, dtype=float).reshape(-1)  # [N]
    points = None if keypoints is None else np.asarray(keypoints, dtype=float)  # [N, K, 2 or 3]
    if len(confidence) != len(found) or (points is not None and len(points) != len(found)):
        counts = f"{len(confidence)} scores and {len(found) if points is None else len(points)} sets of keypoints"
        raise DrawingError(f"expected a score and a set of keypoints for each of {len(found)} boxes, found {counts}")
    thickness = max(1, round(min(canvas.shape[:2]) / 320))
    for box in _array(truth, 4) if truth is not None else ():
        _rectangle(canvas, box, TRUTH, thickness)
    for index in np.argsort(confidence, kind="stable"):  # the surest last, on top
        if confidence[index] < score_threshold:
            continue
        _rectangle(canvas, found[index], BOX, thickness)
        if points is not None:
            _landmarks(canvas, points[index], found[index], thickness)
        if scores is not None:
            _tag(canvas, found[index], f"{confidence[index]:.2f}")
    return canvas


def contact_sheet(
    images: Sequence[ArrayLike], columns: int = 4, tile: tuple[int, int] = (320, 320), gap: int = 8
) -> Image:
    """Pictures side by side, each fitted into a tile (H, W) with its proportions kept, on a dark ground.

    images: uint8 RGB [H, W, 3] of any sizes, at least one. Returns uint8 [rows * (H + gap) + gap, ..., 3].
    """
    if not images or columns < 1:
        raise DrawingError(f"expected pictures and at least one column, found {len(images)} and {columns}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = tile
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 24, dtype=np.uint8)
    for index, image in enumerate(images):
        fitted = fit(image, tile)
        top = gap + index // columns * (height + gap) + (height - fitted.shape[0]) // 2
        left = gap + index % columns * (width + gap) + (width - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


def fit(image: ArrayLike, size: tuple[int, int]) -> Image:
    """The picture scaled to the largest that lies inside (H, W), its proportions kept."""
    canvas = _canvas(image)
    scale = min(size[0] / canvas.shape[0], size[1] / canvas.shape[1])
    shape = max(1, round(canvas.shape[1] * scale)), max(1, round(canvas.shape[0] * scale))
    return np.asarray(cv2.resize(canvas, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _canvas(image: ArrayLike) -> Image:
    canvas = np.array(image, copy=True)
    if canvas.dtype != np.uint8 or canvas.ndim != 3 or canvas.shape[2] != 3 or canvas.size == 0:
        raise DrawingError(f"expected a picture uint8 [H, W, 3], found {canvas.dtype} {list(canvas.shape)}")
    return np.ascontiguousarray(canvas)


def _array(values: ArrayLike, width: int) -> NDArray[Any]:
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return np.zeros((0, width))
    if array.ndim != 2 or array.shape[1] != width:
        raise DrawingError(f"expected boxes [N, {width}], found {list(array.shape)}")
    return array


def _rectangle(canvas: Image, box: NDArray[Any], colour: tuple[int, int, int], thickness: int) -> None:
    left, top, right, bottom = np.clip(box, -1e6, 1e6).round().astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)


def _landmarks(canvas: Image, points: NDArray[Any], box: NDArray[Any], thickness: int) -> None:
    radius = max(1, min(thickness + 1, round((box[2] - box[0]) / 14)))
    for index, point in enumerate(points):
        visible = len(point) < 3 or point[2] > 0
        if visible and np.isfinite(point).all():
            center = np.clip(point[:2], -1e6, 1e6).round().astype(int).tolist()
            cv2.circle(canvas, center, radius, POINTS[index % len(POINTS)], cv2.FILLED, cv2.LINE_AA)


def _tag(canvas: Image, box: NDArray[Any], text: str) -> None:
    """The score on a plate above the box, inside the picture; left out where it would be wider than two boxes."""
    scale = max(0.35, min(canvas.shape[:2]) / 1400)
    (width, height), base = cv2.getTextSize(text, FONT, scale, 1)
    if width > 2 * (box[2] - box[0]):
        return
    left = int(np.clip(box[0], 0, max(0, canvas.shape[1] - width - 4)))
    bottom = int(np.clip(box[1], height + base + 2, canvas.shape[0]))
    cv2.rectangle(canvas, (left, bottom - height - base - 2), (left + width + 4, bottom), BOX, cv2.FILLED)
    cv2.putText(canvas, text, (left + 2, bottom - base), FONT, scale, (20, 20, 20), 1, cv2.LINE_AA)
