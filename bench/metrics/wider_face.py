"""Average precision on WIDER FACE (Yang et al., CVPR 2016), as its official MATLAB evaluation computes it.

Where the official code and its Python ports differ or say nothing, this is what holds here:

- Detections are sorted by score here, whatever order they come in (ports trust the file's order).
- Scores are stretched to 0..1 with one true minimum and maximum over all detections of all images evaluated, so a
  subset of images, or one outlier, shifts the 1000 thresholds. Equal scores everywhere become 1 instead of 0/0.
- A detection goes to the face it overlaps most, ignored faces included, never to a second best. On an ignored face it
  is neither right nor wrong; on a face already taken, or on none, it is a false positive.
- Faces of zero size, and images without a counted face, take part: false positives there count. Detections in an image
  without any listed face do not (the official code skips it), though their scores still stretch the range.
- A threshold at which nothing is proposed has NaN precision and adds nothing to the area.
- Faces are counted over all images evaluated, also those without predictions. A setting without a counted face has AP
  NaN, with a warning: it is undefined, not 0.
- Scores are kept in single precision, boxes are compared in double precision. Labels are not looked at.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import PredictionError
from bench.metrics.evaluator import Evaluator
from bench.metrics.wider_curves import Float, ScoredMatches, average_precision, match_faces, normalise
from bench.metrics.wider_ground_truth import ground_truth_of
from bench.predictions.wider_text import read_wider_predictions

logger = logging.getLogger(__name__)


class WiderFaceAP(Evaluator):
    """AP_easy, AP_medium and AP_hard as fractions; of faces as arrays one AP for each of their settings.

    Args:
        truth: folder with `wider_face_val.mat` and `wider_{easy,medium,hard}_val.mat`; or what a data module hands out,
            whose `wider_face` is that folder or the faces as arrays (`WiderGroundTruth.of_arrays`).
        images: the image ids ("<event>/<file stem>") to evaluate; None for all of the ground truth.
        iou_threshold: least IoU of a match, counting pixels (+1).
        thresholds: number of score thresholds.

    Raises:
        GroundTruthError: the folder cannot be read, or `images` names one it does not have.
    """

    states: ClassVar = {
        "scores": (torch.float32, ()),  # of each detection
        "faces": (torch.int64, ()),  # the face matched, as an index over all images' faces; -1 for none
        "images": (torch.int64, ()),  # index into image_ids
        "counts": (torch.int64, ()),  # detections of that image
    }

    def __init__(
        self,
        truth: str | Path | Mapping[str, Any],
        images: Sequence[str] | None = None,
        iou_threshold: float = 0.5,
        thresholds: int = 1000,
    ) -> None:
        super().__init__()
        self.ground_truth = ground_truth_of(truth, images)
        self.image_ids: tuple[str, ...] = self.ground_truth.image_ids
        self.iou_threshold = iou_threshold
        self.thresholds = thresholds
        self._index = {image_id: i for i, image_id in enumerate(self.image_ids)}

    def update(self, predictions: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Any]]) -> None:
        """Take the detections of some images; an image given before counts only the first time.

        Args:
            predictions: per image `boxes` [n, 4] xyxy in pixels of the original image and `scores` [n], on any device.
            targets: per image `image_id`; nothing else is read.

        Raises:
            PredictionError: an unknown image, shapes that do not fit, or a value that is not finite.
        """
        if len(predictions) != len(targets):
            raise PredictionError(f"expected one prediction per target, found {len(predictions)} for {len(targets)}")
        scores, faces, images = [], [], []
        for prediction, target in zip(predictions, targets, strict=True):
            image = self._image(target["image_id"])
            confidence, boxes = _arrays(prediction, self.image_ids[image])
            begin, end = self.ground_truth.offsets[image : image + 2]
            match = match_faces(boxes, self.ground_truth.boxes[begin:end], self.iou_threshold)
            scores.append(confidence)
            faces.append(np.where(match >= 0, match + begin, -1))
            images.append(image)
        if not images:
            return
        counts = [len(confidence) for confidence in scores]
        self.append(scores=np.concatenate(scores), faces=np.concatenate(faces), images=images, counts=counts)

    def compute(self) -> dict[str, float]:
        """AP_easy, AP_medium, AP_hard (or the settings of the truth) over all images evaluated."""
        return {f"AP_{name}": average_precision(*curve) for name, curve in self._curves().items()}

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(f"AP_{name}" for name in self.ground_truth.counted)

    def per_image(self) -> dict[str, Any]:
        """`scores` [D] of the detections and `faces` [D], the face matched (from 0 within the image) or -1."""
        with self.sync_context():
            taken = self.taken()
        images, counts, faces = taken["images"], taken["counts"], taken["faces"]
        begin = np.repeat(self.ground_truth.offsets[:-1][images], counts)
        return {
            "image_ids": [self.image_ids[image] for image in images],
            "counts": counts,
            "scores": taken["scores"],
            "faces": np.where(faces >= 0, faces - begin, -1),
        }

    def objects(self) -> tuple[list[Float], dict[str, list[NDArray[np.bool_]]]]:
        cuts = self.ground_truth.offsets[1:-1]
        counted = {name: np.split(mask, cuts) for name, mask in self.ground_truth.counted.items()}
        return np.split(self.ground_truth.boxes, cuts), counted

    def read_predictions(self, path: Path) -> Mapping[str, dict[str, Tensor]]:
        return read_wider_predictions(path)

    def curves(self) -> dict[str, tuple[Float, Float]]:
        """Recall and precision [T] at falling thresholds for easy, medium, hard; NaN where nothing is proposed."""
        with self.sync_context():
            return self._curves()

    def _curves(self) -> dict[str, tuple[Float, Float]]:
        taken = self.taken()
        images = taken["images"]
        if len(images) < len(self.image_ids):
            logger.warning(
                "WIDER FACE: %d of %d images have no predictions and count as images without detections",
                len(self.image_ids) - len(images),
                len(self.image_ids),
            )
        has_faces = np.repeat(np.diff(self.ground_truth.offsets)[images] > 0, taken["counts"])
        confidence = normalise(taken["scores"].astype(np.float64))[has_faces]
        matches = ScoredMatches.build(confidence, taken["faces"][has_faces], self.thresholds)
        for name, counted in self.ground_truth.counted.items():
            if not counted.any():
                logger.warning("WIDER FACE: no face counts as %s in the images evaluated; its AP is undefined", name)
        return {name: matches.curve(counted) for name, counted in self.ground_truth.counted.items()}

    def _image(self, image_id: str) -> int:
        if image_id not in self._index:
            raise PredictionError(
                f"expected one of the {len(self.image_ids)} images evaluated, such as {self.image_ids[0]!r}, "
                f"found {image_id!r}; name images <event>/<file stem>, and leave out those that are not evaluated"
            )
        return self._index[image_id]


def _arrays(prediction: Mapping[str, Tensor], image_id: str) -> tuple[np.ndarray, Float]:
    """Scores [n] and boxes [n, 4] of one image on the CPU, checked."""
    scores = prediction["scores"].detach().cpu().float().numpy()
    boxes = prediction["boxes"].detach().cpu().double().numpy()
    if scores.ndim != 1 or boxes.shape != (len(scores), 4):
        raise PredictionError(f"{image_id}: expected scores [n] and boxes [n, 4], found {scores.shape}, {boxes.shape}")
    if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
        raise PredictionError(
            f"{image_id}: expected finite scores and boxes, found NaN or infinity; "
            "the detector has diverged or was given an image it cannot handle"
        )
    return scores, boxes
