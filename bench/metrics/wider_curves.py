"""The arithmetic of WIDER FACE's official evaluation (MATLAB eval_tools), as array functions without state.

The official code loops over images, detections and 1000 thresholds. The same numbers follow from three facts: the face
a detection overlaps most depends on no setting; of all detections whose best face is the same, the first in order of
score takes it; and counts at a threshold are sums over detections, so one histogram of scores gives all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


def match_faces(boxes: Float, faces: Float, iou_threshold: float) -> Int:
    """Index of the face each box overlaps most, -1 where that IoU is below the threshold.

    IoU counts pixels: widths and heights are x2 - x1 + 1, so a face of zero size has area 1. All faces take part,
    ignored ones too, and there is no second choice; of equal IoUs the face listed first wins.

    Args:
        boxes: [N, 4] xyxy pixels.
        faces: [G, 4] xyxy pixels.
        iou_threshold: a match needs at least this.

    Returns:
        [N] indices into `faces`.
    """
    if not len(boxes) or not len(faces):
        return np.full(len(boxes), -1, dtype=np.int64)
    x1, y1, x2, y2 = boxes.T[:, :, None]  # each [N, 1]
    u1, v1, u2, v2 = faces.T[:, None, :]  # each [1, G]
    overlap = np.minimum(x2, u2)  # [N, G], reused in place: this is where the time goes
    overlap -= np.maximum(x1, u1) - 1
    height = np.minimum(y2, v2)
    height -= np.maximum(y1, v1) - 1
    np.maximum(overlap, 0, out=overlap)
    overlap *= np.maximum(height, 0, out=height)
    union = (x2 - x1 + 1) * (y2 - y1 + 1) + (u2 - u1 + 1) * (v2 - v1 + 1)
    union -= overlap
    # Boxes of negative size have any "area", also one that makes the union 0; they overlap nothing.
    iou = np.divide(overlap, np.maximum(union, np.finfo(np.float64).tiny, out=union), out=overlap)
    best = iou.argmax(axis=1)
    return np.where(iou[np.arange(len(boxes)), best] >= iou_threshold, best, -1)


def normalise(scores: Float) -> Float:
    """Stretch scores [N] to 0..1 with one minimum and one maximum; all 1 where they are all equal."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


@dataclass(frozen=True, eq=False)
class ScoredMatches:
    """Detections of all images with scores already binned: what every setting's curve is counted from."""

    bins: Int  # [N] the first of `thresholds` thresholds that lets the detection in
    faces: Int  # [N] the matched face, -1 for none
    first: Bool  # [N] the highest scored detection of its face
    thresholds: int

    @classmethod
    def build(cls, scores: Float, faces: Int, thresholds: int) -> "ScoredMatches":
        """From normalised scores [N] and matched faces [N]; thresholds are 1 - t / T for t = 1..T."""
        order = np.argsort(-scores, kind="stable")
        scores, faces = scores[order], faces[order]
        levels = 1 - np.arange(1, thresholds + 1) / thresholds  # descending, the last is 0
        first = np.zeros(len(faces), dtype=np.bool_)
        first[np.unique(faces, return_index=True)[1]] = True
        first &= faces >= 0
        return cls(np.searchsorted(-levels, -scores), faces, first, thresholds)

    def curve(self, counted: Bool) -> tuple[Float, Float]:
        """Recall and precision [T] where `counted` [F] marks the faces that count and the others are ignored.

        A detection whose face is ignored is neither right nor wrong. One whose counted face is already taken is wrong.
        Precision is NaN where nothing is proposed; recall is NaN where no face counts.
        """
        matched = self.faces >= 0
        on_counted = np.zeros_like(matched)
        on_counted[matched] = counted[self.faces[matched]]
        proposals = self._cumulative(~matched | on_counted)
        hits = self._cumulative(on_counted & self.first)
        with np.errstate(invalid="ignore"):
            return hits / np.float64(counted.sum()), hits / proposals

    def _cumulative(self, chosen: Bool) -> Int:
        return np.cumsum(np.bincount(self.bins[chosen], minlength=self.thresholds))


def average_precision(recall: Float, precision: Float) -> float:
    """Area under the monotone envelope of a curve (VOC 2010), both [T] in order of rising recall.

    A NaN precision (nothing proposed) counts as 0: MATLAB's `max` skips NaN where NumPy's would spread it.
    """
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], np.where(np.isnan(precision), 0.0, precision), [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
