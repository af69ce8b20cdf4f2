"""Evaluation of weights from a file, or of random ones: a record for each post-processor."""

import logging
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench.config import compose
from bench.detectors.create import build_detector
from bench.records.identity import file_sha256
from bench.records.record import Provenance, Record
from bench.run.cells import Cell, weights_cell
from bench.run.data import DataReader
from bench.run.evaluate import evaluate
from bench.run.follow import job_of
from bench.run.pictures import save_pictures
from bench.run.processes import followed
from bench.run.records import check_recordable, done_record, run_of
from bench.run.statistics import write_statistics
from bench.run.workspace import now

log = logging.getLogger(__name__)


def evaluate_weights(config: DictConfig, words: list[str], begun: Any = None) -> list[Record]:
    """One forward pass over the validation images, a record for each post-processor.

    Args:
        words: the overrides of the command.
        begun: the images, where they are being read already (`begin_reading`).
    """
    postprocesses = chosen_postprocesses(config)
    started_at, clock = now(), time.perf_counter()
    detector = build_detector(config.detector)
    sha256 = None
    weights = config.weights or config.detector.get("weights")  # an external detector may name its file itself
    if weights is not None:
        detector.load(Path(weights), config.detector.name)
        sha256 = file_sha256(Path(weights))
    else:
        log.warning("weights=null: evaluating %s with random weights", config.detector.name)
    reader = DataReader()
    cells = [cell_of(config, postprocess, sha256, words, reader) for postprocess in postprocesses]
    check_recordable(cells[0])
    given = None if weights is None else Path(weights)
    with followed(cells[0].config, job_of(cells, False, given), lambda error: None):
        found = evaluate(detector, config, postprocesses, begun)
    provenance = Provenance(
        schedule="none",
        weights="random" if sha256 is None else "imported",
        weights_sha256=sha256,
        evaluation=run_of(cells[0].config, started_at=started_at, wall_time_s=time.perf_counter() - clock),
    )
    records = []
    for cell in cells:
        name = str(cell.config["postprocess"]["name"])
        values = {f"val/{key}": value for key, value in found.metrics[name].items()}
        folder = Path(config.paths.runs) / "evaluations" / cell.cell_id / f"seed{cell.seed}"
        hashes = write_statistics(folder, found.statistics[name])
        records.append(done_record(cell, values, found.complexity, provenance, hashes))
        save_pictures(cell, found.predictions[name], found.data)
    return records


def chosen_postprocesses(config: DictConfig) -> list[DictConfig]:
    """The post-processors named, or else the chosen one, under the protocol with all that was changed in it."""
    chosen = []
    for name in config.postprocessors or [config.postprocess.name]:
        if name == config.postprocess.name:
            chosen.append(config.postprocess)
            continue
        other = compose("_under_protocol", [f"postprocess={name}"])
        other.protocol = config.protocol
        chosen.append(other.postprocess)
    return chosen


def cell_of(
    config: DictConfig, postprocess: DictConfig, sha256: str | None, words: list[str], reader: DataReader
) -> Cell:
    """The cell of these weights under one of the post-processors."""
    chosen = config.copy()
    chosen.postprocess = postprocess
    chosen.schedule = "none"
    others = [word for word in words if not word.startswith("postprocess=")]
    named = {"name": str(config.name)} if config.name else {}
    return weights_cell(chosen, sha256, [*others, f"postprocess={postprocess.name}"], named, reader)
