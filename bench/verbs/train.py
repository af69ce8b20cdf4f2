"""`bench train`: one cell."""

import logging

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.errors import BenchError
from bench.overrides import refuse_unread
from bench.records.identity import in_words
from bench.records.record import Record, read_record
from bench.run.cells import make_cell
from bench.run.train import run_cells
from bench.run.workspace import Workspace, record_path, to_run
from bench.verbs.output import wants_json, write_json, write_table

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    wants_json(config)
    words = list(HydraConfig.get().overrides.task)
    refuse_unread(words, config)
    cell = make_cell(config, words)
    workspace = Workspace.of(cell)
    with workspace.lock().acquire(timeout=-1, poll_interval=1):
        if to_run([cell], config.overwrite):
            log.info("%s: training %s, cell %s, in %s", cell, cell.train_id, cell.cell_id, workspace.root)
            run_cells([cell], fresh=config.overwrite == "always")
        else:
            log.info("%s is done already; overwrite=always trains it again", cell)
    path = record_path(cell)
    if not path.exists():
        raise BenchError(f"{cell} has no record at {path}")
    show([read_record(path)], wants_json(config))
    log.info("record: %s", path)


def show(records: list[Record], as_json: bool) -> None:
    """The records, as JSON or as a table of their metrics."""
    if as_json:
        write_json([record.model_dump(mode="json") for record in records])
        return
    keys = sorted({key for record in records for key in record.metrics if key.startswith("val/")})
    rows = [
        [
            key.removeprefix("val/"),
            *(f"{100 * record.metrics[key]:.2f}" if key in record.metrics else "-" for record in records),
        ]
        for key in keys
    ]
    first = records[0]
    dataset, protocol = first.dataset, first.protocol
    title = (
        f"{dataset.name} {dataset.split}, {dataset.images} images, {protocol.base or protocol.name} v{protocol.version}"
    )
    title += f" with {in_words(protocol.changes)}" if protocol.changes else ""
    write_table(["", *(f"{record.detector} {record.protocol.postprocess}" for record in records)], rows, title)
