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
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from bench.errors import PredictionError
from bench.metrics.wider_curves import Float, ScoredMatches, average_precision, match_faces, normalise
from bench.metrics.wider_ground_truth import read_wider_ground_truth

logger = logging.getLogger(__name__)

STATES = {"scores": torch.float32, "faces": torch.int64, "images": torch.int64, "counts": torch.int64}


class WiderFaceAP(Metric):
    """AP_easy, AP_medium and AP_hard as fractions.

    Args:
        ground_truth: folder with `wider_face_val.mat` and `wider_{easy,medium,hard}_val.mat`.
        images: the image ids ("<event>/<file stem>") to evaluate; None for all of the ground truth.
        iou_threshold: least IoU of a match, counting pixels (+1).
        thresholds: number of score thresholds.

    Raises:
        GroundTruthError: the folder cannot be read, or `images` names one it does not have.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    scores: list[Tensor]  # [n] of each update
    faces: list[Tensor]  # [n] the face matched, as an index over all images' faces; -1 for none
    images: list[Tensor]  # [B] index into image_ids
    counts: list[Tensor]  # [B] detections of that image

    def __init__(
        self,
        ground_truth: str | Path,
        images: Sequence[str] | None = None,
        iou_threshold: float = 0.5,
        thresholds: int = 1000,
    ) -> None:
        super().__init__()
        everything = read_wider_ground_truth(ground_truth)
        self.ground_truth = everything if images is None else everything.restrict(images)
        self.image_ids: tuple[str, ...] = self.ground_truth.image_ids
        self.iou_threshold = iou_threshold
        self.thresholds = thresholds
        self._index = {image_id: i for i, image_id in enumerate(self.image_ids)}
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

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
        for name, values in zip(STATES, (np.concatenate(scores), np.concatenate(faces), images, counts), strict=True):
            getattr(self, name).append(torch.as_tensor(values, dtype=STATES[name], device=self.device))

    def compute(self) -> dict[str, float]:
        """AP_easy, AP_medium, AP_hard over all images evaluated."""
        return {f"AP_{name}": average_precision(*curve) for name, curve in self._curves().items()}

    def curves(self) -> dict[str, tuple[Float, Float]]:
        """Recall and precision [T] at falling thresholds for easy, medium, hard; NaN where nothing is proposed."""
        with self.sync_context():
            return self._curves()

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which would gather a process without any image as float and break on int states."""
        if not self._is_synced and not self.images:
            for name, dtype in STATES.items():
                getattr(self, name).append(torch.zeros(0, dtype=dtype, device=self.device))
        super().sync(*args, **kwargs)

    def _curves(self) -> dict[str, tuple[Float, Float]]:
        scores, faces, images, counts = (self._state(name) for name in STATES)
        seen, first = np.unique(images, return_index=True)
        if len(seen) < len(self.image_ids):
            logger.warning(
                "WIDER FACE: %d of %d images have no predictions and count as images without detections",
                len(self.image_ids) - len(seen),
                len(self.image_ids),
            )
        fresh = np.zeros(len(images), dtype=np.bool_)
        fresh[first] = True  # a sampler that pads the last batch hands some images in twice
        keep = np.repeat(fresh, counts)
        has_faces = np.repeat(np.diff(self.ground_truth.offsets)[images] > 0, counts)[keep]
        confidence = normalise(scores[keep].astype(np.float64))[has_faces]
        matches = ScoredMatches.build(confidence, faces[keep][has_faces], self.thresholds)
        for name, counted in self.ground_truth.counted.items():
            if not counted.any():
                logger.warning("WIDER FACE: no face counts as %s in the images evaluated; its AP is undefined", name)
        return {name: matches.curve(counted) for name, counted in self.ground_truth.counted.items()}

    def _state(self, name: str) -> np.ndarray:
        value = getattr(self, name)
        return dim_zero_cat(value).cpu().numpy() if len(value) else torch.zeros(0, dtype=STATES[name]).numpy()

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
