"""A record for predictions in files: the evaluator is ours, everything before it is the submitter's word."""

import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench.config import plain
from bench.errors import ConfigError
from bench.evaluation.evaluation import merged
from bench.records.identity import cell_id_of, file_sha256, train_id_of
from bench.records.names import as_name, check_name, is_name
from bench.records.record import Dataset, Protocol, Provenance, Record
from bench.run.data import build_evaluators, describe_data, truth_of
from bench.run.identity import canonical
from bench.run.records import defined, run_of
from bench.run.statistics import write_statistics
from bench.run.workspace import now

log = logging.getLogger(__name__)


def evaluate_predictions(config: DictConfig) -> Record:
    """Read and evaluate, timed apart; no image is opened.

    Raises:
        PredictionError: a file that cannot be read as predictions of this dataset.
        ConfigError: predictions of other images, or images without anything to find.
    """
    path, started_at = Path(config.predictions), now()
    detector = row_name(path, config.name)
    data = describe_data(config)
    evaluators = build_evaluators(config.protocol, data.truth())
    first = next(iter(evaluators.values()))
    clock = time.perf_counter()
    predictions = first.read_predictions(path)
    read_s = time.perf_counter() - clock
    used = of_these_images(predictions, set(first.image_ids), path, f"{config.data.name} {data.split}")
    clock = time.perf_counter()
    for evaluator in evaluators.values():
        evaluator.update(list(used.values()), [{"image_id": image_id} for image_id in used])
    found = {f"val/{key}": value for key, value in merged(evaluators).items()}
    metrics = defined(found, str(path), config.data.name)
    if not metrics:
        raise ConfigError(f"{path}: nothing to find in the images evaluated, every metric is undefined")
    evaluate_s = time.perf_counter() - clock
    log.info("read %d images in %.2f s, evaluated in %.2f s", len(predictions), read_s, evaluate_s)

    sha256 = content_sha256(path)
    images, annotation_hash = truth_of({name: evaluator.ground_truth for name, evaluator in evaluators.items()})
    dataset = Dataset(name=data.name, split=data.split, images=images, annotation_hash=annotation_hash)
    protocol = {"name": "submitted", "version": 1, "evaluators": plain(config.protocol.evaluators)}
    protocol["claimed_protocol"] = config.claimed_protocol
    training = {"predictions": sha256}
    read = dataset.model_dump(mode="json", exclude={"image_hash"})
    evaluation = canonical({"protocol": protocol, "data": read})
    cell_id = cell_id_of(training, evaluation)
    folder = Path(config.paths.runs) / "evaluations" / cell_id / "seed0"
    return Record(
        cell_id=cell_id,
        train_id=train_id_of(training),
        seed=0,
        detector=detector,
        ablations={},
        dataset=dataset,
        protocol=Protocol(name="submitted", version=1, postprocess="submitted"),
        training=training,
        evaluation=evaluation,
        metrics=metrics,
        statistics=write_statistics(folder, {name: evaluator.per_image() for name, evaluator in evaluators.items()}),
        cost=None,
        speed={"evaluate/read_s": read_s, "evaluate/evaluate_s": evaluate_s},
        provenance=Provenance(
            schedule="none",
            weights="predictions",
            weights_sha256=sha256,
            evaluation=run_of(
                {"trainer": plain(config.trainer)}, started_at=started_at, wall_time_s=read_s + evaluate_s
            ),
        ),
        status="done",
    )


def row_name(path: Path, name: str | None) -> str:
    """The name of the row: the one given, or else the file's, in the letters that a name may have.

    Raises:
        ConfigError: the one given is no name, or the file's has none of these letters.
    """
    if name is not None:
        return check_name("name", str(name))
    stem = path.resolve().name.removesuffix(".zip").removesuffix(".json")
    derived = check_name("name", stem if is_name(stem) else as_name(stem))
    if derived != stem:
        log.info("%s: the row is named %s; name=... gives it another one", path, derived)
    return derived


def of_these_images(predictions: Mapping[Any, Any], wanted: set[Any], path: Path, where: str) -> dict[Any, Any]:
    """The predictions of images that are evaluated; the others are left out, and that is said."""
    used = {image_id: prediction for image_id, prediction in predictions.items() if image_id in wanted}
    if not predictions:
        log.warning("%s: a detector that found nothing in any image", path)
    elif not used:
        raise ConfigError(f"{path}: none of its {len(predictions)} images is among the {len(wanted)} of {where}")
    if len(used) < len(predictions):
        left = len(predictions) - len(used)
        log.warning("%s: %d of %d images are not among those of %s", path, left, len(predictions), where)
    return used


def content_sha256(path: Path) -> str:
    """Of the file, or of the names and contents of a folder's files."""
    if path.is_file():
        return file_sha256(path)
    state = hashlib.sha256()
    for file in sorted(path.rglob("*.txt")):
        state.update(file.relative_to(path).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return state.hexdigest()
