"""The two engines of COCO's evaluation: pycocotools, which defines the numbers, and faster-coco-eval, in C++.

Both get the same plain lists and give the same arrays; their messages on standard output are swallowed.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import ConfigError

logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)  # otherwise it tells its times in every evaluation

Engine = Literal["faster", "pycocotools"]
Annotations = list[dict[str, Any]]

AREAS = {"": 0, "s": 1, "m": 2, "l": 3}  # suffix of the key -> index: all, below 32^2, up to 96^2, above


def coco_metrics(
    engine: Engine,
    images: Sequence[int],
    categories: Sequence[int],
    objects: Annotations,
    detections: Annotations,
    max_detections: int = 100,
) -> dict[str, float]:
    """COCO's twelve numbers, NaN where there is no object to find.

    Args:
        objects: dicts of id, image_id, category_id, bbox (x y w h), area, iscrowd.
        detections: the same and score.
        max_detections: the most per image and category; AR is also given at 1 and 10.
    """
    dataset_type, evaluation_type = _types(engine)
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = (_dataset(dataset_type, images, categories, rows) for rows in (objects, detections))
        evaluation = evaluation_type(truth, found, "bbox")
        evaluation.params.imgIds = sorted(images)
        evaluation.params.catIds = sorted(categories)
        evaluation.params.maxDets = [1, 10, max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])  # [T, R, K, A, M]: IoU, recall, category, area, detections
    recall = np.asarray(evaluation.eval["recall"])  # [T, K, A, M]
    metrics = {"AP": _mean(precision[:, :, :, 0, 2])}
    metrics |= {"AP50": _mean(precision[0, :, :, 0, 2]), "AP75": _mean(precision[5, :, :, 0, 2])}
    metrics |= {f"AP{suffix}": _mean(precision[:, :, :, area, 2]) for suffix, area in AREAS.items() if suffix}
    metrics |= {f"AR{count}": _mean(recall[:, :, 0, i]) for i, count in enumerate((1, 10, max_detections))}
    metrics |= {f"AR{suffix}": _mean(recall[:, :, area, 2]) for suffix, area in AREAS.items() if suffix}
    return metrics


def _types(engine: Engine) -> tuple[Any, Any]:
    if engine == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
    if engine == "faster":
        from faster_coco_eval import COCO, COCOeval_faster

        return COCO, COCOeval_faster
    raise ConfigError(f"expected engine to be faster or pycocotools, found {engine!r}")


def _dataset(dataset_type: Any, images: Sequence[int], categories: Sequence[int], rows: Annotations) -> Any:
    """Rows are copied: the engines write into them."""
    dataset = dataset_type()
    dataset.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": category, "name": str(category)} for category in categories],
        "annotations": [dict(row) for row in rows],
    }
    dataset.createIndex()
    return dataset


def _mean(values: NDArray[np.float64]) -> float:
    """Over what is defined; -1 stands for a category without objects."""
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else float("nan")
