"""`bench train`: one cell."""

import logging
from collections.abc import Mapping

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.errors import BenchError
from bench.grid.cells import SHAPING_TRAINER, make_cell
from bench.grid.run import run_cells
from bench.grid.store import Workspace, record_path, to_run
from bench.report.records import Record, read_record
from bench.verbs.output import wants_json, write_json, write_table

log = logging.getLogger(__name__)

# Keys of the command line that say where and how, not what: they give a row no name of its own.
INCIDENTAL = (
    "paths.",
    "data.root",
    "data.num_workers",
    "data.cache",
    "logger",
    "format",
    "overwrite",
    "pictures",
    "seed",
    "hydra",
    "labels",
)
COLLECTIONS = ("experiment", "debug")  # groups whose files change values that a record does not show otherwise


def run(config: DictConfig) -> None:
    wants_json(config)
    cell = make_cell(config, own_labels())
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


def own_labels() -> Mapping[str, str]:
    """Values changed on the command line, one by one or by a file of several: no two rows may differ silently."""
    changed = [override for override in HydraConfig.get().overrides.task if changes_values(override)]
    return {"overrides": " ".join(sorted(changed))} if changed else {}


def changes_values(override: str) -> bool:
    key = override.split("=")[0].lstrip("+~")
    if key.startswith("trainer."):
        return key.removeprefix("trainer.") in SHAPING_TRAINER
    return key in COLLECTIONS or ("." in key and not key.startswith(INCIDENTAL))


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
    title = f"{dataset.name} {dataset.split}, {dataset.images} images, {protocol.name} v{protocol.version}"
    write_table(["", *(f"{record.detector} {record.protocol.postprocess}" for record in records)], rows, title)
