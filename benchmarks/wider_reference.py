"""WIDER FACE's evaluation as plain loops, step by step as the official MATLAB code goes about it; slow on purpose.

The tests compare `bench.metrics.wider_face` with it on random data, the benchmark beside it times it. It shares no code
with the package.
"""

from collections.abc import Mapping, Sequence

Box = Sequence[float]  # x, y, w, h


def reference_ap(
    faces: Mapping[str, Sequence[Box]],
    counted: Mapping[str, Mapping[str, Sequence[int]]],
    predictions: Mapping[str, Sequence[tuple[Box, float]]],
    thresholds: int = 1000,
) -> dict[str, float]:
    """AP per setting.

    Args:
        faces: image -> faces.
        counted: setting -> image -> 1-based numbers of the faces that count.
        predictions: image -> (box, score) in any order; an image may be absent.
        thresholds: number of score thresholds.
    """
    every_score = [score for found in predictions.values() for _, score in found]
    low, high = min(every_score, default=0.0), max(every_score, default=1.0)
    ranked = {
        image: sorted(
            ((box, (score - low) / (high - low) if high > low else 1.0) for box, score in found),
            key=lambda pair: -pair[1],
        )
        for image, found in predictions.items()
    }
    return {f"AP_{name}": _setting_ap(faces, numbers, ranked, thresholds) for name, numbers in counted.items()}


def _setting_ap(
    faces: Mapping[str, Sequence[Box]],
    counted: Mapping[str, Sequence[int]],
    ranked: Mapping[str, list[tuple[Box, float]]],
    thresholds: int,
) -> float:
    proposals, hits, total = [0] * thresholds, [0] * thresholds, 0
    for image, boxes in faces.items():
        total += len(counted[image])
        found = ranked.get(image, [])
        if not boxes or not found:
            continue
        recalled, proposed = _image(boxes, set(counted[image]), found)
        for t in range(thresholds):
            level = 1 - (t + 1) / thresholds
            last = -1
            for h, (_, score) in enumerate(found):
                if score >= level:
                    last = h
            if last >= 0:
                proposals[t] += sum(proposed[: last + 1])
                hits[t] += recalled[last]
    return _area(
        [hit / total for hit in hits],
        [hit / proposal if proposal else 0.0 for hit, proposal in zip(hits, proposals, strict=True)],
    )


def _image(boxes: Sequence[Box], counted: set[int], found: list[tuple[Box, float]]) -> tuple[list[int], list[int]]:
    """For each detection in order: faces recalled so far, and whether it is a proposal (1) or ignored (0)."""
    taken = [False] * len(boxes)
    recalled, proposed = [], []
    for box, _ in found:
        best, best_iou = -1, -1.0
        for g, face in enumerate(boxes):
            iou = _iou(box, face)
            if iou > best_iou:
                best, best_iou = g, iou
        is_proposal = 1
        if best_iou >= 0.5:
            if best + 1 in counted:
                taken[best] = True
            else:
                is_proposal = 0
        recalled.append(sum(taken))
        proposed.append(is_proposal)
    return recalled, proposed


def _iou(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - width * height)


def _area(recall: list[float], precision: list[float]) -> float:
    recall, precision = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))
