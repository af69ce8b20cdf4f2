"""Run one training and every evaluation that shares it: data, detector, trainer, fit, evaluate, record.

Whatever goes wrong becomes the status of each cell concerned, never a number.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint

from bench.detectors.create import build_detector
from bench.records.identity import digest
from bench.records.record import Provenance, Record, Status, write_record, write_text_atomically
from bench.run import loggers
from bench.run.build import as_config, build_trainer, build_training
from bench.run.callbacks import DivergedError, KeepTime, RememberLosses, ReportProgress, StopOnDivergence
from bench.run.cells import Cell
from bench.run.evaluate import evaluate, model_metrics
from bench.run.pictures import save_pictures
from bench.run.records import done_record, failed_record, run_of
from bench.run.statistics import write_statistics
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace, now

log = logging.getLogger(__name__)


def run_cells(cells: Sequence[Cell], fresh: bool = False) -> list[Record]:
    """Train once, evaluate every cell, write the records. The cells share one training, whose lock the caller holds.

    Args:
        fresh: start anew even if there is a checkpoint to go on from.

    A failure is recorded for the cells that have no result yet and raised again.
    """
    first = cells[0]
    workspace = Workspace.of(first)
    written: dict[str, Record] = {}
    if fresh:
        workspace.clear()
    history = TrainingLog(workspace.root)
    try:
        if not (history.finished and workspace.best_checkpoint.exists()):
            train(first, workspace, history)
        for group in by_pass(cells):
            for cell, record in evaluate_cells(group, workspace, history):
                write_record(record, Path(cell.config["paths"]["results"]))
                written[cell.cell_id] = record
        loggers.close_logger(0)
        workspace.write_status(status="done", wall_time_s=history.wall_time_s)
    except BaseException as error:
        status = status_of(error)
        workspace.write_status(status=status, error=str(error))
        for cell in cells:
            if cell.cell_id not in written:
                training = history.run() or run_of(cell.config, started_at=now())
                record = failed_record(cell, status, error, training)
                write_record(record, Path(cell.config["paths"]["results"]))
        loggers.close_logger(1)
        raise
    return list(written.values())


def status_of(error: BaseException) -> Status:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def train(cell: Cell, workspace: Workspace, history: TrainingLog) -> None:
    """Fit the cell's detector, going on from the last checkpoint if there is one."""
    config = as_config(cell.config)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    history.begin(run_of(cell.config, started_at=now()))
    text = yaml.safe_dump(dict(cell.shown_config), sort_keys=False, allow_unicode=True)
    write_text_atomically(workspace.root / "config.yaml", text)
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
    callbacks = [StopOnDivergence(), ReportProgress(workspace), KeepTime(history), losses, best, last]
    trainer = build_trainer(config, workspace.root, callbacks, logger)
    trainer.fit(detector, datamodule=data, ckpt_path=resume, weights_only=resume is not None or None)
    history.finish(losses.losses)


def by_pass(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells whose evaluations share a forward pass: they differ in the post-processor alone."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        shared = {key: value for key, value in cell.evaluation.items() if key != "postprocess"}
        groups.setdefault(digest(shared), []).append(cell)
    return list(groups.values())


def evaluate_cells(cells: Sequence[Cell], workspace: Workspace, history: TrainingLog) -> list[tuple[Cell, Record]]:
    """One forward pass of the best checkpoint over the evaluated images, for all post-processors of `cells`."""
    workspace.write_status(status="running", stage="evaluate")
    config = as_config(cells[0].config)
    started_at, clock = now(), time.perf_counter()
    detector = build_detector(config.detector)
    detector.load(workspace.best_checkpoint, cells[0].detector)
    found = evaluate(detector, config, [as_config(cell.config).postprocess for cell in cells])
    seconds = time.perf_counter() - clock
    model = model_metrics(detector, found.complexity)
    results = []
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
        results.append((cell, done_record(cell, values, found.complexity, provenance, hashes)))
        save_pictures(cell, found.predictions[name], found.data)
    return results
