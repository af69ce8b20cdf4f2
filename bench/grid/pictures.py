"""Pictures of detections beside the records, for the leaderboard page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from bench.detectors.postprocess import Prediction
from bench.grid.cells import Cell
from bench.report.drawing import contact_sheet, draw_detections

SCORE_THRESHOLD = 0.3


def save_pictures(cell: Cell, predictions: Mapping[Any, Prediction], data: Any) -> Path | None:
    """One sheet with the detections and the truth of the first images; `pictures=0` keeps none. Returns its path."""
    count = int(cell.config["pictures"])
    dataset = data.val_dataloader().dataset
    drawn = []
    for index in range(min(count, len(dataset))):
        image, target = dataset[index]
        prediction = predictions[target["image_id"]]
        scale = target["scale"]
        keypoints = prediction["keypoints"].clone()
        keypoints[..., :2] *= scale
        drawn.append(
            draw_detections(
                image.permute(1, 2, 0).numpy(),
                (prediction["boxes"] * scale.repeat(2)).numpy(),
                prediction["scores"].numpy(),
                keypoints.numpy() if keypoints.shape[1] else None,
                target["boxes"][~target["ignore"]].numpy(),
                score_threshold=SCORE_THRESHOLD,
            )
        )
    if not drawn:
        return None
    folder = Path(cell.config["paths"]["results"]) / "pictures" / cell.dataset
    labels = "".join(f"-{axis}={label}" for axis, label in cell.labels.items())
    path = folder / f"{cell.detector}{labels}-seed{cell.seed}.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(drawn, columns=4)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    return path
