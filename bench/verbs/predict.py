"""`bench predict SOURCE`: boxes, and pictures with them drawn."""

import logging
from pathlib import Path
from typing import Any

import cv2
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch import Tensor

from bench.config import instantiate
from bench.detectors.candidates import Prediction
from bench.detectors.create import build_detector
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.looks import Look
from bench.overrides import refuse_unread
from bench.predictions.drawing import draw_detections
from bench.run.build import build_looks, pad_to
from bench.verbs.output import wants_json, write_json, write_table

SHOWN = "shown"
log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    refuse_unread(list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else [], config)
    found = found_in(config)
    if as_json:
        write_json(found)
    else:
        write_table(["image", "found", "best score"], [summary(row) for row in found])


def found_in(config: DictConfig) -> list[dict[str, Any]]:
    """What is found in each image, in pixels of the original; drawn into `output` where there is one."""
    images = instantiate(config.images)
    detector = build_detector(config.detector).eval()
    weights = config.weights or config.detector.get("weights")
    if weights is not None:
        detector.load(Path(weights), config.detector.name)
    else:
        log.warning("weights=null: %s has random weights and will find nothing", config.detector.name)
    device = torch.device("cuda" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    evaluation = Evaluation({SHOWN: instantiate(config.postprocess.processor)}, {SHOWN: {}}, *shown_as(config.protocol))
    found: list[dict[str, Any]] = []
    total = -(-len(images.paths) // images.batch_size)
    with torch.no_grad():
        detector.to(device)
        for batch in track(images, "predict", total=total, console=Console(stderr=True)):
            evaluation.step(detector, batch["images"], batch["targets"])
            for image, target in zip(batch["images"], batch["targets"], strict=True):
                shown = above(evaluation.predictions[SHOWN].pop(target["image_id"]), config.score_threshold)
                found.append(describe(shown, target))
                if config.output is not None:
                    save_drawing(Path(config.output), image, shown, target)
    return found


def shown_as(protocol: DictConfig) -> tuple[tuple[int, int] | None, tuple[Look, ...]]:
    return pad_to(protocol), build_looks(protocol)


def above(prediction: Prediction, threshold: float) -> Prediction:
    keep = prediction["scores"] >= threshold
    return {name: value[keep] for name, value in prediction.items()}


def describe(prediction: Prediction, target: dict[str, Any]) -> dict[str, Any]:
    """The JSON of one image: boxes in pixels of the original."""
    values = {name: value.tolist() for name, value in prediction.items()}
    return {"image": target["image_id"], "size": target["size"].tolist(), **values}


def save_drawing(folder: Path, image: Tensor, prediction: Prediction, target: dict[str, Any]) -> None:
    """The resized image with what was found in its original."""
    scale = target["scale"]  # [2] resized over original, x and y
    keypoints = prediction["keypoints"].clone()
    keypoints[..., :2] *= scale
    drawn = draw_detections(
        image.permute(1, 2, 0).numpy(),
        (prediction["boxes"] * scale.repeat(2)).numpy(),
        prediction["scores"].numpy(),
        keypoints.numpy() if keypoints.shape[1] else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{Path(target['image_id']).stem}.png"
    if not cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)):
        log.warning("the picture could not be written to %s", path)


def summary(row: dict[str, Any]) -> list[str]:
    best = f"{max(row['scores']):.3f}" if row["scores"] else "-"
    return [row["image"], str(len(row["scores"])), best]
