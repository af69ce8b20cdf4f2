"""`bench predict SOURCE`: boxes, and pictures with them drawn."""

import logging
from pathlib import Path
from typing import Any

import cv2
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch import Tensor

from bench.config import instantiate
from bench.detectors.create import build_detector
from bench.detectors.evaluation import to_original
from bench.detectors.postprocess import Prediction
from bench.detectors.weights import load_weights
from bench.grid.build import build_views
from bench.report.drawing import draw_detections
from bench.verbs.output import wants_json, write_json, write_table

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    images = instantiate(config.images)
    detector = build_detector(config).eval()
    if config.weights is not None:
        load_weights(detector, Path(config.weights), config.detector.name)
    else:
        log.warning("weights=null: %s has random weights and will find nothing", config.detector.name)
    device = torch.device("cuda" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    detector.to(device)
    pad_to = None if config.protocol.pad_to is None else tuple(config.protocol.pad_to)
    views = build_views(config.protocol)
    found: list[dict[str, Any]] = []
    batches = track(images, "predict", total=-(-len(images.paths) // images.batch_size), console=Console(stderr=True))
    for batch in batches:
        predictions = detector.predict(batch["images"], pad_to, views)
        for image, target, prediction in zip(batch["images"], batch["targets"], predictions, strict=True):
            shown = above({name: value.cpu() for name, value in prediction.items()}, config.score_threshold)
            found.append(describe(to_original(shown, target), target))
            if config.output is not None:
                save_drawing(Path(config.output), image, shown, target["image_id"])
    if as_json:
        write_json(found)
    else:
        write_table(["image", "found", "best score"], [summary(row) for row in found])


def above(prediction: Prediction, threshold: float) -> Prediction:
    keep = prediction["scores"] >= threshold
    return {name: value[keep] for name, value in prediction.items()}


def describe(prediction: Prediction, target: dict[str, Any]) -> dict[str, Any]:
    """The JSON of one image: boxes in pixels of the original."""
    values = {name: value.tolist() for name, value in prediction.items()}
    return {"image": target["image_id"], "size": target["size"].tolist(), **values}


def save_drawing(folder: Path, image: Tensor, prediction: Prediction, image_id: str) -> None:
    keypoints = prediction["keypoints"].numpy() if prediction["keypoints"].shape[1] else None
    pixels = image.permute(1, 2, 0).numpy()
    drawn = draw_detections(pixels, prediction["boxes"].numpy(), prediction["scores"].numpy(), keypoints)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{Path(image_id).stem}.png"), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


def summary(row: dict[str, Any]) -> list[str]:
    best = f"{max(row['scores']):.3f}" if row["scores"] else "-"
    return [row["image"], str(len(row["scores"])), best]
