"""`bench evaluate`: weights or predictions under a protocol."""

import logging
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.config import compose
from bench.detectors.create import build_detector
from bench.detectors.weights import file_sha256
from bench.errors import ConfigError
from bench.overrides import refuse_unread
from bench.records.record import Provenance, Record, write_record
from bench.run.cells import Cell, weights_cell
from bench.run.data import DataReader
from bench.run.evaluate import evaluate
from bench.run.pictures import save_pictures
from bench.run.records import done_record, run_of
from bench.run.statistics import write_statistics
from bench.run.submission import evaluate_predictions
from bench.run.workspace import now
from bench.verbs.output import wants_json
from bench.verbs.train import show

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    if config.predictions is not None and config.weights is not None:
        raise ConfigError("expected predictions=PATH or weights=PATH, found both; evaluate them one after the other")
    words = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    refuse_unread(words, config)
    records = evaluate_weights(config, words) if config.predictions is None else [evaluate_predictions(config)]
    for record in records:
        log.info("record: %s", write_record(record, Path(config.paths.results)))
    show(records, as_json)


def evaluate_weights(config: DictConfig, words: list[str]) -> list[Record]:
    """One forward pass over the validation images, a record for each post-processor."""
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
    found = evaluate(detector, config, postprocesses)
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
