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
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from bench.errors import ConfigError, PredictionError
from bench.metrics.coco_engines import Engine, coco_metrics
from bench.metrics.coco_ground_truth import read_coco_ground_truth

logger = logging.getLogger(__name__)

STATES = {
    "boxes": torch.float64,
    "scores": torch.float64,
    "labels": torch.int64,
    "images": torch.int64,
    "counts": torch.int64,
}


class CocoAP(Metric):
    """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl as fractions.

    Args:
        annotations: an annotation file, `instances_*.json`.
        images: the image ids to evaluate; None for all of the file, those without objects too.
        classes: names of the categories to evaluate, in the order of the labels; None for all, in the order of ids.
        engine: "faster" or "pycocotools".
        max_detections: the most per image and category, above 10; the key AR100 follows it.

    Raises:
        GroundTruthError: the file cannot be read, or lacks one of `images` or `classes`.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    boxes: list[Tensor]  # [n, 4] of each update, x y w h
    scores: list[Tensor]  # [n]
    labels: list[Tensor]  # [n]
    images: list[Tensor]  # [B] image ids
    counts: list[Tensor]  # [B] detections of that image

    def __init__(
        self,
        annotations: str | Path,
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
        self.ground_truth = read_coco_ground_truth(annotations, images, classes)
        self.image_ids: tuple[int, ...] = self.ground_truth.image_ids
        self.engine: Engine = engine
        self.max_detections = max_detections
        self._known = frozenset(self.image_ids)
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

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
        counts = torch.tensor([len(row[1]) for row in rows])
        for name, value in zip(STATES, (boxes, scores, labels, torch.tensor(images), counts), strict=True):
            getattr(self, name).append(value.to(self.device, STATES[name]))

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

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which would gather a process without any image as float and break on int states."""
        if not self._is_synced and not self.images:
            for name, dtype in STATES.items():
                shape = (0, 4) if name == "boxes" else (0,)
                getattr(self, name).append(torch.zeros(shape, dtype=dtype, device=self.device))
        super().sync(*args, **kwargs)

    def _detections(self) -> list[dict[str, Any]]:
        if not len(self.images):
            return []
        boxes, scores, labels, images, counts = (dim_zero_cat(getattr(self, name)).tolist() for name in STATES)
        found: list[dict[str, Any]] = []
        seen: set[int] = set()
        begin = 0
        for image, count in zip(images, counts, strict=True):
            fresh = image not in seen  # a sampler that pads the last batch hands some images in twice
            seen.add(image)
            for i in range(begin, begin + count if fresh else begin):
                x, y, w, h = boxes[i]
                category = self.ground_truth.category_ids[labels[i]]
                found.append({
                    "id": len(found) + 1, "image_id": image, "category_id": category, "bbox": [x, y, w, h],
                    "area": w * h, "iscrowd": 0, "score": scores[i],
                })  # fmt: skip
            begin += count
        return found

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
