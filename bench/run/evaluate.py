"""One pass of a detector over the images of a protocol: metrics, statistics, cost."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from bench.cost.complexity import Complexity
from bench.detectors.base import Detector
from bench.detectors.candidates import Prediction
from bench.detectors.optimize import optimized
from bench.errors import WeightsError
from bench.evaluation.evaluation import Evaluation, Statistics
from bench.run.build import build_evaluation, measure_cost
from bench.run.data import build_data
from bench.run.progress import TellEvaluation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, by post-processor, and the data it looked at."""

    metrics: Mapping[str, Mapping[str, float]]
    statistics: Mapping[str, Mapping[str, Statistics]]
    predictions: Mapping[str, Mapping[Any, Prediction]]
    complexity: Complexity | None
    data: Any


def evaluate(detector: Detector, config: DictConfig, postprocesses: Sequence[DictConfig]) -> Evaluated:
    """Evaluate a detector under the configuration's protocol, all post-processors over one forward pass.

    Raises:
        PredictionError: the detector gives a score or box that is not finite.
    """
    complexity = measure_cost(detector, config.protocol)
    data = build_data(config, config.protocol)
    data.setup("validate")
    evaluation = build_evaluation(data, config.protocol, postprocesses)
    metrics = run_evaluation(made_ready(detector.eval(), config.optimize), data, evaluation, config)
    return Evaluated(metrics, evaluation.statistics(), evaluation.predictions, complexity, data)


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
    loader = data.val_dataloader()
    trainer = pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=config.trainer.precision,
        logger=False,
        callbacks=[TellEvaluation(f"{config.detector.name} {config.protocol.name}", len(loader.dataset))],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(detector, dataloaders=loader, verbose=False)
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
