"""`bench evaluate`: weights or predictions under a protocol."""

import hashlib
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench.config import compose, instantiate
from bench.detectors.create import build_detector
from bench.detectors.external import ExternalDetector
from bench.detectors.prediction_files import read_predictions
from bench.detectors.weights import file_sha256, load_weights
from bench.errors import ConfigError
from bench.grid.build import build_data, build_evaluation, measure_cost
from bench.grid.cells import Cell, digest, evaluation_identity, make_cell
from bench.grid.pictures import save_pictures
from bench.grid.records import done_record, provenance_of
from bench.grid.run import run_evaluation
from bench.grid.store import now
from bench.report.records import Dataset, Protocol, Record, write_record
from bench.verbs.output import wants_json
from bench.verbs.train import show

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    if config.predictions is not None and config.weights is not None:
        raise ConfigError("expected predictions=PATH or weights=PATH, found both; evaluate them one after the other")
    records = evaluate_weights(config) if config.predictions is None else [evaluate_predictions(config)]
    for record in records:
        log.info("record: %s", write_record(record, Path(config.paths.results)))
    show(records, as_json)


def evaluate_weights(config: DictConfig) -> list[Record]:
    """One forward pass over the validation images, a record for each post-processor."""
    postprocesses = chosen_postprocesses(config)
    started_at, clock = now(), time.perf_counter()
    detector = build_detector(config)
    sha256 = None
    weights = config.weights or config.detector.model.get("path")  # an external detector may name its file itself
    if weights is not None:
        load_weights(detector, Path(weights), config.detector.name)
        sha256 = file_sha256(Path(weights))
    else:
        log.warning("weights=null: evaluating %s with random weights", config.detector.name)
    data = build_data(config, config.protocol, "validate")
    evaluation = build_evaluation(data, config.protocol, postprocesses)
    metrics = run_evaluation(detector.eval(), data, evaluation, config)
    complexity = None
    if not isinstance(detector, ExternalDetector):  # its operations run elsewhere, or depend on what it finds
        complexity = measure_cost(detector, config.protocol)
    records = []
    for postprocess in postprocesses:
        cell = weights_cell(config, postprocess, sha256)
        facts = {
            "weights": "random" if sha256 is None else "imported",
            "weights_sha256": sha256,
            "started_at": started_at,
            "wall_time_s": time.perf_counter() - clock,
        }
        values = {f"val/{key}": value for key, value in metrics[postprocess.name].items()}
        records.append(done_record(cell, values, data.summary("val"), complexity, **facts))
        save_pictures(cell, evaluation.predictions[postprocess.name], data)
    return records


def chosen_postprocesses(config: DictConfig) -> list[DictConfig]:
    """The post-processors named, or else the chosen one, under the protocol with all that was changed in it."""
    chosen = []
    for name in config.postprocessors or [config.postprocess.name]:
        if name == config.postprocess.name:
            chosen.append(config.postprocess)
            continue
        other = compose("model", [f"postprocess={name}"])
        other.protocol = config.protocol
        chosen.append(other.postprocess)
    return chosen


def weights_cell(config: DictConfig, postprocess: DictConfig, sha256: str | None) -> Cell:
    """A cell whose training is the file of weights, or the seed of random ones."""
    chosen = config.copy()
    chosen.postprocess = postprocess
    chosen.schedule = "none"
    cell = make_cell(chosen, {"name": config.name} if config.name else {})
    model = {key: value for key, value in cell.config["detector"]["model"].items() if key != "path"}
    train_id = digest([model, sha256 or "random"])
    cell_id = digest([train_id, evaluation_identity(cell.config), without_images(cell.config["data"])])
    return Cell(cell.config, cell.labels, cell.seed, train_id, cell_id)


def without_images(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of the data shapes an evaluation: which dataset, which of its images, which classes if chosen."""
    identity = {key: data.get(key) for key in ("name", "images", "val_images")}
    return identity | {key: list(data[key]) for key in ("classes",) if data.get(key)}


def evaluate_predictions(config: DictConfig) -> Record:
    """A record for predictions in files; no image is opened. Reading and evaluating are timed apart."""
    path = Path(config.predictions)
    data = instantiate(config.data.module)
    data.prepare_data()
    metric = instantiate(config.protocol.evaluator, **data.ground_truth)
    clock = time.perf_counter()
    predictions = read_predictions(path, metric)
    read_s = time.perf_counter() - clock
    wanted = set(metric.image_ids)
    used = {image_id: prediction for image_id, prediction in predictions.items() if image_id in wanted}
    if not used:
        raise ConfigError(
            f"{path}: none of its {len(predictions)} images is among the {len(wanted)} of {config.data.name} val"
        )
    if len(used) < len(predictions):
        log.warning(
            "%s: %d of %d images are not in this validation set", path, len(predictions) - len(used), len(predictions)
        )
    clock = time.perf_counter()
    metric.update(list(used.values()), [{"image_id": image_id} for image_id in used])
    metrics = defined({f"val/{key}": value for key, value in metric.compute().items()}, path)
    evaluate_s = time.perf_counter() - clock
    log.info("read %d images in %.2f s, evaluated in %.2f s", len(predictions), read_s, evaluate_s)

    sha256 = content_sha256(path)
    settings = {"evaluator": config.protocol.evaluator._target_, "claimed_protocol": config.claimed_protocol}
    train_id = digest(["predictions", sha256])
    dataset = Dataset(**data.summary("val"))
    return Record(
        cell_id=digest([train_id, settings, without_images(config.data), dataset.annotation_hash]),
        train_id=train_id,
        seed=0,
        detector=config.name or path.name.removesuffix(".zip").removesuffix(".json"),
        ablations={},
        dataset=dataset,
        protocol=Protocol(name="submitted", version=1, postprocess="submitted", settings=settings),
        metrics=metrics,
        cost=None,
        speed={"evaluate/read_s": read_s, "evaluate/evaluate_s": evaluate_s},
        provenance=provenance_of(
            make_cell(config).config, schedule="none", weights="predictions", weights_sha256=sha256, started_at=now()
        ),
        status="done",
    )


def defined(metrics: Mapping[str, float], path: Path) -> dict[str, float]:
    """The metrics that have a value; one that is undefined is left out, and said so: it is not 0."""
    undefined = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if len(undefined) == len(metrics):
        raise ConfigError(f"{path}: nothing to find in the images evaluated, every metric is undefined")
    if undefined:
        log.warning("%s: %s undefined, left out of the record", path, ", ".join(undefined))
    return {name: value for name, value in metrics.items() if name not in undefined}


def content_sha256(path: Path) -> str:
    """Of the file, or of the names and contents of a folder's files."""
    if path.is_file():
        return file_sha256(path)
    state = hashlib.sha256()
    for file in sorted(path.rglob("*.txt")):
        state.update(file.relative_to(path).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return state.hexdigest()
