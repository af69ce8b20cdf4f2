"""Run one training and every evaluation that shares it: data, detector, trainer, fit, evaluate, record.

Whatever goes wrong becomes the status of each cell concerned, never a number.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from bench.detectors.base import Detector
from bench.records.identity import digest
from bench.records.record import Provenance, Record, Status, write_record, write_text_atomically
from bench.run import loggers
from bench.run.build import as_config, build_trainer, build_training
from bench.run.callbacks import DivergedError, KeepTime, RememberLosses, ReportProgress, StopOnDivergence
from bench.run.cells import Cell
from bench.run.checkpoints import check_whole, newest_whole
from bench.run.evaluate import evaluate_weights, model_metrics
from bench.run.follow import job_of
from bench.run.outcome import Ending, Outcome, record_failure, words_of
from bench.run.pictures import save_pictures
from bench.run.processes import followed
from bench.run.records import check_recordable, done_record, run_of
from bench.run.statistics import write_statistics
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace, now, record_path
from bench.signals import Interrupted

log = logging.getLogger(__name__)


def run_cells(cells: Sequence[Cell], fresh: bool = False, outcome: Outcome | None = None) -> list[Record]:
    """Train once, evaluate every cell, write the records. The cells share one training, whose lock the caller holds.

    Args:
        fresh: start anew even if there is a checkpoint to go on from; what was finished before stays until there is a
            result.
        outcome: where this run tells how its cells ended.

    A failure is recorded for the cells that have no result yet and raised again.
    """
    first = cells[0]
    workspace = Workspace.of(first)
    outcome = outcome or Outcome(workspace)
    written: dict[str, Record] = {}

    def fail(error: BaseException) -> None:
        end_badly([cell for cell in cells if cell.cell_id not in written], workspace, outcome, error)

    try:
        check_recordable(first)
        history = begin(workspace, fresh)
        trains = not history.finished
        resume = newest_whole(workspace.checkpoints) if trains else None
        with followed(first.config, job_of(cells, trains, workspace.best_checkpoint, resume), fail):
            if trains:
                train(first, workspace, history, resume)
            check_whole(workspace.best_checkpoint)
            for group in by_pass(cells):
                for cell, record in evaluate_cells(group, workspace, history):
                    write_record(record, Path(cell.config["paths"]["results"]))
                    written[cell.cell_id] = record
                    outcome.add({cell.cell_id: Ending("done")})
                    workspace.forget_previous()
        loggers.close_logger(0)
        workspace.write_status(status="done", wall_time_s=history.wall_time_s)
    except BaseException as error:
        fail(error)
        raise
    return list(written.values())


def begin(workspace: Workspace, fresh: bool) -> TrainingLog:
    """What is known of the training; nothing, if it is to start anew."""
    workspace.restore()
    history = TrainingLog(workspace.root)
    if history.finished and not workspace.best_checkpoint.exists():
        history.finished = False
    if not fresh:
        return history
    if history.finished:
        workspace.set_aside()
    else:
        workspace.clear()
    return TrainingLog(workspace.root)


def end_badly(cells: Sequence[Cell], workspace: Workspace, outcome: Outcome, error: BaseException) -> None:
    """Tell the outcome and record the failure of `cells`. Whatever goes wrong here is told, and stops nothing."""
    status = status_of(error)
    training = TrainingLog(workspace.root).run()
    outcome.add({cell.cell_id: record_failure(cell, status, error, training) for cell in cells})
    for cell in cells:
        if outcome.endings[cell.cell_id].kept:
            log.warning("%s: %s; the result of an earlier run is kept: %s", cell, status, record_path(cell))
    workspace.write_status(status=status, error=words_of(error))
    for last in (workspace.restore, lambda: loggers.close_logger(1)):
        try:
            last()
        except Exception as problem:
            log.warning("after the failure: %s: %s", type(problem).__name__, problem)


def status_of(error: BaseException) -> Status:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"


def train(cell: Cell, workspace: Workspace, history: TrainingLog, resume: Path | None) -> None:
    """Fit the cell's detector, going on from a checkpoint if there is one, and keep what is told of it."""
    use_threads(cell)
    history.begin(run_of(cell.config, started_at=now()))
    text = yaml.safe_dump(dict(cell.shown_config), sort_keys=False, allow_unicode=True)
    write_text_atomically(workspace.root / "config.yaml", text)
    data, detector = build_training(cell)
    if resume:
        log.info("%s: going on from %s", cell, resume)
    logger = loggers.open_logger(cell, workspace.root)
    own = [ReportProgress(workspace), KeepTime(history)]
    history.finish(fit(cell, workspace, data, detector, resume, own, logger))


def use_threads(cell: Cell) -> None:
    threads = cell.config["trainer"]["threads"]
    if threads:
        torch.set_num_threads(threads)


def fit(
    cell: Cell,
    workspace: Workspace,
    data: Any,
    detector: Detector,
    resume: Path | None,
    own: Sequence[pl.Callback] = (),
    logger: Logger | None = None,
) -> dict[str, float]:
    """What every process of a training does; the losses of its last epoch.

    Args:
        own: callbacks of the process that leads.
        logger: likewise.
    """
    config = as_config(cell.config)
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
    losses = RememberLosses()
    callbacks = [StopOnDivergence(), *own, losses, best, last]
    trainer = build_trainer(config, workspace.root, callbacks, logger)
    trainer.fit(detector, datamodule=data, ckpt_path=resume, weights_only=resume is not None or None)
    return losses.losses


def by_pass(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells whose evaluations share a forward pass: they differ in the post-processor alone."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        shared = {key: value for key, value in cell.evaluation.items() if key != "postprocess"}
        groups.setdefault(digest(shared), []).append(cell)
    return list(groups.values())


def evaluate_cells(cells: Sequence[Cell], workspace: Workspace, history: TrainingLog) -> Iterator[tuple[Cell, Record]]:
    """One forward pass of the best checkpoint over the evaluated images, for all post-processors of `cells`.

    Each record is given away as soon as it is complete; pictures come after it.
    """
    workspace.write_status(status="running", stage="evaluate")
    started_at, clock = now(), time.perf_counter()
    detector, found = evaluate_weights(cells, workspace.best_checkpoint)
    seconds = time.perf_counter() - clock
    model = model_metrics(detector, found.complexity)
    for cell in cells:
        name = cell.config["postprocess"]["name"]
        values = history.losses | {f"val/{key}": value for key, value in found.metrics[name].items()}
        wandb_run = loggers.publish_metrics(cell, values | model, workspace.root)
        provenance = Provenance(
            schedule=cell.config["schedule"],
            weights="trained",
            training=history.run(),
            evaluation=run_of(cell.config, started_at=started_at, wall_time_s=seconds, wandb_run=wandb_run),
        )
        hashes = write_statistics(workspace.statistics(cell.cell_id), found.statistics[name])
        yield cell, done_record(cell, values, found.complexity, provenance, hashes)
        save_pictures(cell, found.predictions[name], found.data)
