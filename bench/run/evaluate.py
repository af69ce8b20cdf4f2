"""One pass of a detector over the images of a protocol: metrics, statistics, cost."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from omegaconf import DictConfig

from bench.cost.complexity import Complexity
from bench.detectors.base import Detector
from bench.detectors.candidates import Prediction
from bench.detectors.create import build_detector
from bench.detectors.optimize import optimized
from bench.errors import WeightsError
from bench.evaluation.evaluation import Evaluation, Statistics
from bench.run.build import as_config, build_evaluation, measure_cost, processing, without_signals
from bench.run.cells import Cell
from bench.run.data import build_data
from bench.run.pictures import pictured
from bench.run.progress import TellEvaluation

ByImage = Mapping[str, Mapping[Any, Prediction]]  # post-processor -> image id -> what was found
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, by post-processor, and the data it looked at."""

    metrics: Mapping[str, Mapping[str, float]]
    statistics: Mapping[str, Mapping[str, Statistics]]
    predictions: ByImage
    complexity: Complexity | None
    data: Any


def evaluate_weights(cells: Sequence[Cell], weights: Path | None) -> tuple[Detector, Evaluated]:
    """What every process of a run does to evaluate cells that differ in the post-processor alone."""
    config = as_config(cells[0].config)
    detector = build_detector(config.detector)
    if weights is not None:
        detector.load(weights, cells[0].detector)
    return detector, evaluate(detector, config, [as_config(cell.config).postprocess for cell in cells])


def evaluate(
    detector: Detector, config: DictConfig, postprocesses: Sequence[DictConfig], begun: Any = None
) -> Evaluated:
    """Evaluate a detector under the configuration's protocol, all post-processors over one forward pass.

    Of several processes each looks at its share of the images, and all find the same; predictions are those of the
    images that are pictured, where there are several.

    Args:
        begun: the images of the split, where they are being read already (`begin_reading`).

    Raises:
        PredictionError: the detector gives a score or box that is not finite.
    """
    complexity = measure_cost(detector, config.protocol)
    data = build_data(config, config.protocol)
    data.setup("validate")
    if begun is not None:
        data.begun = begun
    evaluation = build_evaluation(data, config.protocol, postprocesses)
    ready = made_ready(detector.eval(), config.optimize)
    metrics = run_evaluation(ready, data, evaluation, config)
    if complexity is not None:
        complexity = replace(complexity, distribution=ready.cost_distribution())
    predictions = shared_predictions(evaluation.predictions, data, config.pictures)
    return Evaluated(metrics, evaluation.statistics(), predictions, complexity, data)


def shared_predictions(found: ByImage, data: Any, pictures: int) -> ByImage:
    """Those of the images that are pictured, out of all processes; all of them in a single one."""
    if not (dist.is_available() and dist.is_initialized()):
        return found
    wanted = pictured(data, pictures)
    own = {name: {image: kept[image] for image in wanted if image in kept} for name, kept in found.items()}
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, own)
    return {name: {image: kept for part in gathered for image, kept in part[name].items()} for name in found}


def made_ready(detector: Detector, how: str) -> Detector:
    """The detector as it is evaluated; one whose network cannot be rewritten stays as it is, and that is said."""
    try:
        return optimized(detector, how)
    except WeightsError as error:
        log.warning("evaluated without optimize=%s: %s", how, error)
        return detector


def run_evaluation(
    detector: Detector, data: Any, evaluation: Evaluation, config: DictConfig
) -> dict[str, dict[str, float]]:
    """Metrics by post-processor, through Lightning's own validation loop."""
    detector.evaluation = evaluation
    trainer = pl.Trainer(
        **processing(config.trainer),
        logger=False,
        callbacks=[TellEvaluation(f"{config.detector.name} {config.protocol.name}")],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    without_signals(trainer).validate(detector, datamodule=data, verbose=False)
    detector.evaluation = None
    return evaluation.compute()


def model_metrics(detector: Detector, complexity: Complexity | None) -> dict[str, float]:
    """The cost under the metric keys of W&B, with the backbone's share where there is a backbone."""
    if complexity is None:
        return {}
    metrics = complexity.metrics()
    backbone = complexity.macs_of(detector.backbone_components())
    if backbone is not None:
        metrics["model/gmacs_backbone"] = backbone / 1e9
    return metrics
