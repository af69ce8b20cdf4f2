"""Average precision on COCO (Lin et al., ECCV 2014, arXiv 1405.0312), as pycocotools computes it.

pycocotools is the definition; faster-coco-eval, the default engine, gives the same numbers (a test holds them equal).

- Areas are those of the annotations (of their segmentation); width x height where an annotation has none.
- A crowd takes in any number of detections, neither right nor wrong.
- Images never given count as without detections. An image given before counts only the first time.
- A number without any object behind it, -1 in pycocotools, is NaN.
- Boxes and scores are compared in double precision. Of equal scores in one image the one given first comes first.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import ConfigError, PredictionError
from bench.metrics.coco_engines import Engine, coco_metrics
from bench.metrics.coco_ground_truth import ground_truth_of
from bench.metrics.evaluator import Evaluator
from bench.predictions.coco_results import read_coco_results

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
logger = logging.getLogger(__name__)


class CocoAP(Evaluator):
    """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl as fractions.

    Args:
        truth: an annotation file, `instances_*.json`; or what a data module hands out, whose `coco` names that file and
            what to restrict it to.
        images: the image ids to evaluate; None for all of the file, those without objects too.
        classes: names of the categories to evaluate, in the order of the labels; None for all, in the order of ids.
        engine: "faster" or "pycocotools".
        max_detections: the most per image and category, above 10; the key AR100 follows it.

    Raises:
        GroundTruthError: the file cannot be read, or lacks one of `images` or `classes`.
    """

    states: ClassVar = {
        "boxes": (torch.float64, (4,)),  # x y w h of each detection
        "scores": (torch.float64, ()),
        "labels": (torch.int64, ()),
        "images": (torch.int64, ()),  # image ids
        "counts": (torch.int64, ()),  # detections of that image
    }

    def __init__(
        self,
        truth: str | Path | Mapping[str, Any],
        images: Sequence[int] | None = None,
        classes: Sequence[str] | None = None,
        engine: Engine = "faster",
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        if max_detections <= 10 or engine not in ("faster", "pycocotools"):
            raise ConfigError(
                "expected max_detections above 10 and engine=faster or engine=pycocotools, "
                f"found max_detections={max_detections} and engine={engine}"
            )
        self.ground_truth = ground_truth_of(truth, images, classes)
        self.image_ids: tuple[int, ...] = self.ground_truth.image_ids
        self.engine: Engine = engine
        self.max_detections = max_detections
        self._known = frozenset(self.image_ids)

    def update(self, predictions: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Any]]) -> None:
        """Take the detections of some images.

        Args:
            predictions: per image `boxes` [n, 4] xyxy in pixels of the original image, `scores` [n] and `labels` [n],
                on any device. Where there is `boxes_xywh` [n, 4], it is used instead: x + w - x is not w in floating
                point, and an object may lie exactly between small and medium.
            targets: per image `image_id`; nothing else is read.

        Raises:
            PredictionError: an unknown image or label, shapes that do not fit, or a value that is not finite.
        """
        if len(predictions) != len(targets):
            raise PredictionError(f"expected one prediction per target, found {len(predictions)} for {len(targets)}")
        images = [self._image(target["image_id"]) for target in targets]
        rows = [self._check(*row) for row in zip(predictions, images, strict=True)]
        if not rows:
            return
        boxes, scores, labels = (torch.cat(column) for column in zip(*rows, strict=True))
        counts = [len(row[1]) for row in rows]
        self.append(boxes=boxes, scores=scores, labels=labels, images=images, counts=counts)

    def compute(self) -> dict[str, float]:
        """COCO's twelve numbers over all images evaluated; NaN where one is undefined."""
        return coco_metrics(
            self.engine,
            self.image_ids,
            self.ground_truth.category_ids,
            self.ground_truth.annotations,
            self._detections(),
            self.max_detections,
        )

    @property
    def metric_names(self) -> tuple[str, ...]:
        return METRICS

    def per_image(self) -> dict[str, Any]:
        """`boxes` [D, 4] x y w h, `scores` [D] and `labels` [D] of the detections."""
        with self.sync_context():
            taken = self.taken()
        return {"image_ids": taken.pop("images").tolist(), **taken}

    def objects(self) -> tuple[list[NDArray[np.float64]], dict[str, list[NDArray[np.bool_]]]]:
        """All but crowds count."""
        rows: dict[int, list[list[float]]] = {image_id: [] for image_id in self.image_ids}
        crowds: dict[int, list[bool]] = {image_id: [] for image_id in self.image_ids}
        for entry in self.ground_truth.annotations:
            x, y, w, h = entry["bbox"]
            rows[entry["image_id"]].append([x, y, x + w, y + h])
            crowds[entry["image_id"]].append(bool(entry["iscrowd"]))
        boxes = [np.array(found, np.float64).reshape(-1, 4) for found in rows.values()]
        return boxes, {"all": [~np.array(found, np.bool_) for found in crowds.values()]}

    def read_predictions(self, path: Path) -> Mapping[int, dict[str, Tensor]]:
        truth = self.ground_truth
        return read_coco_results(path, truth.known_images, truth.known_categories, truth.category_ids)

    def _detections(self) -> list[dict[str, Any]]:
        found = self.taken()
        images = np.repeat(found["images"], found["counts"]).tolist()
        columns = (found[name].tolist() for name in ("boxes", "labels", "scores"))
        return [
            {
                "id": number, "image_id": image, "category_id": self.ground_truth.category_ids[label], "bbox": box,
                "area": box[2] * box[3], "iscrowd": 0, "score": score,
            }
            for number, (image, box, label, score) in enumerate(zip(images, *columns, strict=True), start=1)
        ]  # fmt: skip

    def _image(self, image_id: Any) -> int:
        if image_id not in self._known:
            raise PredictionError(
                f"expected one of the {len(self.image_ids)} images evaluated, such as {self.image_ids[0]}, "
                f"found {image_id!r}; leave out images that are not evaluated"
            )
        return int(image_id)

    def _check(self, prediction: Mapping[str, Tensor], image_id: int) -> tuple[Tensor, Tensor, Tensor]:
        """boxes [n, 4] x y w h, scores [n] and labels [n] of one image on the CPU."""
        scores, labels = prediction["scores"].detach().cpu().double(), prediction["labels"].detach().cpu()
        boxes = prediction.get("boxes_xywh", prediction["boxes"]).detach().cpu().double()
        if scores.ndim != 1 or labels.shape != scores.shape or boxes.shape != (len(scores), 4):
            shapes = [tuple(value.shape) for value in (boxes, scores, labels)]
            raise PredictionError(f"image {image_id}: expected boxes [n, 4], scores [n], labels [n], found {shapes}")
        if "boxes_xywh" not in prediction:
            boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)
        if not (scores.isfinite().all() and boxes.isfinite().all()):
            raise PredictionError(
                f"image {image_id}: expected finite scores and boxes, found NaN or infinity; "
                "the detector has diverged or was given an image it cannot handle"
            )
        classes = len(self.ground_truth.category_ids)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise PredictionError(
                f"image {image_id}: expected labels 0..{classes - 1}, found {int(labels.min())}..{int(labels.max())}; "
                "is the detector built for these classes?"
            )
        return boxes, scores, labels
