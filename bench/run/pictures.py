"""Pictures of detections beside the records, for the leaderboard page."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from bench.detectors.candidates import Prediction
from bench.predictions.drawing import contact_sheet, draw_detections
from bench.run.cells import Cell

SCORE_THRESHOLD = 0.3
LONGEST = 160  # letters of a name before its seed
log = logging.getLogger(__name__)


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
    path = folder / f"{file_name(cell)}.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(drawn, columns=4)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        log.warning("%s: the pictures could not be written to %s", cell, path)
        return None
    return path


def pictured(data: Any, count: int) -> list[Any]:
    """The ids of the images on the sheet."""
    dataset = data.val_dataloader().dataset
    return [dataset[index][1]["image_id"] for index in range(min(count, len(dataset)))]


def file_name(cell: Cell) -> str:
    """Detector, ablations and seed in letters that every file system takes; with changed values the cell's id too."""
    ablations = "".join(f"-{axis}={label}" for axis, label in cell.ablations.items())
    told = re.sub(r"[^A-Za-z0-9._=+-]", "_", f"{cell.detector}{ablations}")[:LONGEST]
    return f"{told}{f'-{cell.cell_id}' if cell.changes or len(told) == LONGEST else ''}-seed{cell.seed}"
