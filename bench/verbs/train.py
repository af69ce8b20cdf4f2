"""`bench train`: one cell."""

import logging

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.errors import BenchError
from bench.overrides import refuse_unread
from bench.records.record import read_record
from bench.run.cells import Cell, make_cell
from bench.run.train import run_cells
from bench.run.workspace import Workspace, record_path, to_run
from bench.signals import Interrupted
from bench.verbs.output import show_records, wants_json

log = logging.getLogger(__name__)
GO_ON = {  # after an interruption, by what was to be overwritten
    "only-missing": "run the same command again to go on from the last epoch",
    "always": "run it with overwrite=only-missing to go on from the last epoch",
    "never": "run it with overwrite=only-missing to go on from the last epoch",
}


def run(config: DictConfig) -> None:
    wants_json(config)
    words = list(HydraConfig.get().overrides.task)
    refuse_unread(words, config)
    cell = make_cell(config, words)
    workspace = Workspace.of(cell)
    with workspace.held():
        if to_run([cell], config.overwrite):
            log.info("%s: training %s, cell %s, in %s", cell, cell.train_id, cell.cell_id, workspace.root)
            train(cell, config.overwrite)
        else:
            log.info("%s is done already; overwrite=always trains it again", cell)
    path = record_path(cell)
    if not path.exists():
        raise BenchError(f"{cell} has no record at {path}")
    show_records([read_record(path)], wants_json(config))
    log.info("record: %s", path)


def train(cell: Cell, overwrite: str) -> None:
    try:
        run_cells([cell], fresh=overwrite == "always")
    except Interrupted as ending:
        ending.advice = GO_ON[overwrite] if to_run([cell], "only-missing") else "what an earlier run found is kept"
        raise
