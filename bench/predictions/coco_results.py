"""Predictions in COCO's result format (https://cocodataset.org/#format-results): one JSON list of all detections.

Each is `{"image_id", "category_id", "bbox": [x, y, w, h], "score"}`, in pixels of the original image. An image without
detections does not occur; a detector that found nothing anywhere writes an empty list.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import PredictionError

FIELDS = ("image_id", "category_id", "bbox", "score")


def read_coco_results(
    path: str | Path, images: Collection[int], categories: Collection[int], category_ids: Sequence[int]
) -> dict[int, dict[str, Tensor]]:
    """Read a result file.

    Args:
        images, categories: ids that may occur, those of the annotation file.
        category_ids: label -> category id; detections of other categories are left out.

    Returns:
        image id -> `boxes` float64 [n, 4] xyxy, `boxes_xywh` float64 [n, 4] as in the file, `scores` float64 [n]
        descending and `labels` int64 [n].

    Raises:
        PredictionError: not such a list, or an entry that is malformed or of an unknown image or category.
    """
    labels = {category: label for label, category in enumerate(category_ids)}
    rows: dict[int, list[tuple[list[float], float, int]]] = {}
    for number, entry in enumerate(_load(Path(path))):
        where = f"{path}, entry {number}"
        image_id, category, box, score = _fields(entry, where)
        if image_id not in images:
            raise PredictionError(
                f"{where}: expected an image_id of the annotation file, found {image_id!r}; "
                "evaluate it against the annotations that it was made for (data.annotations=FILE)"
            )
        if category not in categories:
            raise PredictionError(
                f"{where}: expected a category_id of the annotation file, found {category!r}; "
                "write COCO's own ids (1..90 with gaps), not labels"
            )
        image_rows = rows.setdefault(image_id, [])
        if category in labels:
            image_rows.append((box, score, labels[category]))
    return {image_id: _prediction(found) for image_id, found in rows.items()}


def write_coco_results(
    path: str | Path, predictions: Mapping[int, Mapping[str, Tensor]], category_ids: Sequence[int]
) -> None:
    """Write `boxes` xyxy, `scores` and `labels` of each image id, at full precision."""
    entries = []
    for image_id, prediction in predictions.items():
        boxes = prediction["boxes"].detach().cpu().double()
        xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
        scores, labels = prediction["scores"].tolist(), prediction["labels"].tolist()
        for box, score, label in zip(xywh, scores, labels, strict=True):
            entries.append(dict(zip(FIELDS, (image_id, category_ids[label], box, score), strict=True)))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(entries), encoding="utf-8")


def _load(path: Path) -> list[Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PredictionError(f"expected a COCO result file (JSON) at {path}, found none that can be read") from error
    if not content.strip():
        raise PredictionError(f"{path}: expected a JSON list of detections, found an empty file")
    try:
        entries = json.loads(content)
    except ValueError as error:  # json's own, and bytes that are no UTF-8
        raise PredictionError(f"{path}: expected a JSON list of detections, found: {error}") from error
    if not isinstance(entries, list):
        raise PredictionError(
            f"{path}: expected a JSON list of detections, found a JSON {type(entries).__name__}; "
            "is it an annotation file?"
        )
    return entries


def _fields(entry: Any, where: str) -> tuple[int, int, list[float], float]:
    if not isinstance(entry, dict) or any(field not in entry for field in FIELDS):
        raise PredictionError(f"{where}: expected {', '.join(FIELDS)}, found {str(entry)[:80]}")
    image_id, category, box, score = (entry[field] for field in FIELDS)
    if type(image_id) is not int or type(category) is not int:
        raise PredictionError(
            f"{where}: expected whole numbers for image_id and category_id, found {image_id!r} and {category!r}"
        )
    numbers = [*box, score] if isinstance(box, list) else []
    if len(numbers) != 5 or not all(type(value) in (int, float) and math.isfinite(value) for value in numbers):
        raise PredictionError(
            f"{where}: expected a bbox of four finite numbers x y w h and a finite score, "
            f"found {str(box)[:60]} and {str(score)[:20]}"
        )
    if min(box[2:]) < 0:
        raise PredictionError(f"{where}: expected a bbox x y w h with a width and a height of 0 or more, found {box}")
    return image_id, category, box, score


def _prediction(rows: list[tuple[list[float], float, int]]) -> dict[str, Tensor]:
    rows = sorted(rows, key=lambda row: -row[1])  # stable: of equal scores the first in the file stays first
    xywh = torch.tensor([box for box, _, _ in rows], dtype=torch.float64).reshape(-1, 4)
    return {
        "boxes": torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1),
        "boxes_xywh": xywh,
        "scores": torch.tensor([score for _, score, _ in rows], dtype=torch.float64),
        "labels": torch.tensor([label for _, _, label in rows], dtype=torch.int64),
    }
