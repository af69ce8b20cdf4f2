"""Run one training and every evaluation that shares it: data, detector, trainer, fit, evaluate, record.

Whatever goes wrong becomes the status of each cell concerned, never a number.
"""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from bench.cost.complexity import Complexity
from bench.detectors.base import Detector
from bench.detectors.weights import load_weights
from bench.grid import loggers
from bench.grid.build import as_config, build_data, build_evaluation, build_trainer, build_training, measure_cost
from bench.grid.callbacks import DivergedError, RememberLosses, ReportProgress, StopOnDivergence
from bench.grid.cells import Cell, digest
from bench.grid.pictures import save_pictures
from bench.grid.records import done_record, failed_record
from bench.grid.store import Workspace, now
from bench.report.records import Record, Status, write_record

log = logging.getLogger(__name__)


@dataclass
class Training:
    """What a training leaves behind."""

    detector: Detector  # with the best checkpoint's weights
    metrics: dict[str, float]  # train/...
    facts: dict[str, Any]  # what the record's provenance takes from it


def run_cells(cells: Sequence[Cell], fresh: bool = False) -> list[Record]:
    """Train once, evaluate every cell, write the records. The cells share one training, whose lock the caller holds.

    Args:
        fresh: start anew even if there is a checkpoint to go on from.

    A failure is recorded for the cells that have no result yet and raised again.
    """
    first = cells[0]
    workspace = Workspace.of(first)
    written: dict[str, Record] = {}
    started_at, clock = now(), time.perf_counter()
    if fresh:
        shutil.rmtree(workspace.checkpoints, ignore_errors=True)
    try:
        training = train(first, workspace)
        for group in by_protocol(cells):
            for cell, record in evaluate_cells(group, training, workspace):
                write_record(record, Path(cell.config["paths"]["results"]))
                written[cell.cell_id] = record
        loggers.close_logger(0)
        workspace.write_status(status="done", wall_time_s=training.facts["wall_time_s"])
    except BaseException as error:
        status = status_of(error)
        workspace.write_status(status=status, error=str(error))
        for cell in cells:
            if cell.cell_id not in written:
                record = failed_record(cell, status, error, started_at, time.perf_counter() - clock)
                write_record(record, Path(cell.config["paths"]["results"]))
        loggers.close_logger(1)
        raise
    return list(written.values())


def status_of(error: BaseException) -> Status:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def train(cell: Cell, workspace: Workspace) -> Training:
    """Fit the cell's detector, going on from the last checkpoint if there is one."""
    started_at, clock = now(), time.perf_counter()
    config = as_config(cell.config)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    data, detector = build_training(cell)
    if config.trainer.channels_last:
        detector.use_channels_last()
    resume = workspace.last_checkpoint if workspace.last_checkpoint.exists() else None
    if resume:
        log.info("%s: going on from %s", cell, resume)

    best = ModelCheckpoint(
        workspace.checkpoints, "best", monitor=config.validation.monitor, mode="max", enable_version_counter=False
    )
    last = ModelCheckpoint(
        workspace.checkpoints,
        "last",
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    logger = loggers.open_logger(cell, workspace.root)
    losses = RememberLosses()
    callbacks = [StopOnDivergence(), ReportProgress(workspace), losses, best, last]
    trainer = build_trainer(config, workspace.root, callbacks, logger)
    trainer.fit(detector, datamodule=data, ckpt_path=resume, weights_only=resume is not None or None)

    load_weights(detector, Path(best.best_model_path), cell.detector)
    facts = {
        "weights": "trained",
        "started_at": started_at,
        "wall_time_s": time.perf_counter() - clock,
        "epochs": int(config.detector.recipe.epochs),
        "train_dataset": data.summary("train"),
    }
    return Training(detector, losses.losses, facts)


def by_protocol(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells whose evaluations share a forward pass."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(digest(cell.config["protocol"]), []).append(cell)
    return list(groups.values())


def evaluate_cells(cells: Sequence[Cell], training: Training, workspace: Workspace) -> list[tuple[Cell, Record]]:
    """One forward pass over the validation images for all post-processors of `cells`."""
    workspace.write_status(status="running", stage="evaluate")
    config = as_config(cells[0].config)
    data = build_data(config, config.protocol, "validate")
    evaluation = build_evaluation(data, config.protocol, [as_config(cell.config).postprocess for cell in cells])
    metrics = run_evaluation(training.detector, data, evaluation, config)
    complexity = measure_cost(training.detector, config.protocol)
    results = []
    for cell in cells:
        name = cell.config["postprocess"]["name"]
        values = training.metrics | {f"val/{key}": value for key, value in metrics[name].items()}
        model = model_metrics(training.detector, complexity)
        wandb_run = loggers.publish_metrics(cell, values | model, workspace.root)
        facts = training.facts | {"wandb_run": wandb_run}
        results.append((cell, done_record(cell, values, data.summary("val"), complexity, **facts)))
        save_pictures(cell, evaluation.predictions[name], data)
    return results


def model_metrics(detector: Detector, complexity: Complexity) -> dict[str, float]:
    """The cost under the metric keys of W&B, with the backbone's share where there is a backbone."""
    metrics = complexity.metrics()
    backbone = complexity.macs_of(detector.backbone_components())
    if backbone is not None:
        metrics["model/gmacs_backbone"] = backbone / 1e9
    return metrics


def run_evaluation(detector: Detector, data: Any, evaluation: Any, config: Any) -> Mapping[str, Mapping[str, float]]:
    """Metrics by post-processor, through Lightning's own validation loop."""
    detector.evaluation = evaluation
    trainer = pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=config.trainer.precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(detector, datamodule=data, verbose=False)
    return evaluation.compute()
