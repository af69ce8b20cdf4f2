"""The record of one evaluated cell: its schema, and how it is written and read.

A record is the truth of what was measured; leaderboards, figures and W&B follow from it. It lies at
`<results_dir>/<dataset>/<detector>/<cell_id>/seed<k>.json`, keeps full precision (fractions, not percent), and a cell
that failed has a status and an error, never a number. Its ids are digests of the two trees inside it, `training` and
`evaluation`, which tell in readable form all that shaped the weights and the numbers.
"""

import json
import os
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from bench.errors import BenchError
from bench.records.identity import cell_id_of, train_id_of
from bench.records.schema import Json, Metrics, Name, NonNegative, Part, Positive, Size, Text, problems_of

SCHEMA_VERSION = 2

Status = Literal["done", "failed", "diverged", "timeout", "interrupted"]
Schedule = Literal["full", "proxy", "smoke", "none"]
Weights = Literal["trained", "imported", "predictions", "random"]


class RecordError(BenchError):
    """A record that does not follow the schema, or lies where it does not belong."""


class Dataset(Part):
    """What was evaluated on: the number of images that the evaluator saw, a hash of all that it reads of them, and one
    of the images' names and sizes; the last is unknown where no image was opened."""

    name: Name
    split: Name
    images: Positive
    annotation_hash: Text
    image_hash: Text | None = None


class Protocol(Part):
    """How it was evaluated: a number is comparable only inside one name and version.

    A protocol with values of its own is another one: its name is derived from that of its `base`, and `changes` are
    the values, by their paths.
    """

    name: Name
    version: Positive
    postprocess: Text
    base: Name | None = None
    changes: Json = Field(default_factory=dict)


class Spread(Part):
    """How a count is spread over images."""

    mean: Annotated[float, Field(ge=0)]
    p50: Annotated[float, Field(ge=0)]
    p90: Annotated[float, Field(ge=0)]
    max: Annotated[float, Field(ge=0)]


class Distribution(Part):
    """MACs of an image by component and in all ("total"), and windows of later components, over `images`."""

    images: Positive
    macs: dict[str, Spread]
    windows: dict[str, Spread]


class Cost(Part):
    """Parameters and operations of one forward pass at `input_size` (H, W), as counts; 1 MAC = 2 FLOPs.

    Under a protocol of several looks, the sum of a pass over each of `looks`; `input_size` is then the largest's. Of a
    cascade, `macs` are the first component's, `macs_per_window` those of a window of each; what its images cost in all
    is a `distribution`.
    """

    input_size: Size
    looks: tuple[Size, ...] = ()
    params: NonNegative
    macs: NonNegative
    flops: NonNegative
    params_by_component: dict[str, NonNegative]
    macs_by_component: dict[str, NonNegative]
    macs_per_window: dict[str, NonNegative] = Field(default_factory=dict)
    distribution: Distribution | None = None


class Run(Part):
    """Code, machine and time of a training or an evaluation; `wall_time_s` sums the `parts` of a resumed one."""

    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: dict[str, str]
    device: str
    threads: int | None = None
    started_at: str | None = None
    wall_time_s: Annotated[float, Field(ge=0)] | None = None
    parts: Positive = 1
    command: str | None = None
    wandb_run: str | None = None

    @field_validator("started_at")
    @classmethod
    def _is_utc(cls, value: str | None) -> str | None:
        if value is not None and datetime.fromisoformat(value).utcoffset() != timedelta(0):
            raise ValueError(f"expected an ISO 8601 time in UTC such as 2026-01-31T12:00:00+00:00, found {value!r}")
        return value


class Provenance(Part):
    """Where the number comes from: kind and file of the weights, the run that trained and the run that evaluated."""

    schedule: Schedule
    weights: Weights
    weights_sha256: str | None = None
    training: Run | None = None
    evaluation: Run | None = None


class Record(Part):
    """One cell and seed: identity, metrics, cost, speed and provenance.

    `ablations` are the labels that a grid or a command gave the row, `detector_axis` the one of them that stands for
    the detector, `changes` the single values that were set otherwise than the named choices have them.
    """

    schema_version: Literal[2] = 2
    cell_id: Name
    train_id: Name
    seed: NonNegative
    detector: Name
    ablations: dict[str, str]
    detector_axis: str | None = None
    changes: Json = Field(default_factory=dict)
    dataset: Dataset
    protocol: Protocol
    training: Json
    evaluation: Json
    metrics: Metrics
    statistics: dict[str, Text] = Field(default_factory=dict)  # evaluator -> SHA-256 of its per-image statistics
    cost: Cost | None
    speed: dict[str, float]
    provenance: Provenance
    status: Status
    error: str | None = None

    @property
    def epochs(self) -> int | None:
        """Passes of the training over its data; None where nothing was trained here."""
        epochs = (self.training.get("recipe") or {}).get("epochs")
        return None if epochs is None else int(epochs)

    @property
    def train_data(self) -> dict[str, Any] | None:
        """Name, split, number of images and hashes of the training data; None where nothing was trained here."""
        return self.training.get("data")

    @property
    def git_commits(self) -> tuple[str | None, ...]:
        """Of the training, where there was one, and of the evaluation."""
        runs = (self.provenance.training, self.provenance.evaluation)
        return tuple(dict.fromkeys(run.git_commit for run in runs if run is not None))

    @property
    def git_dirty(self) -> bool:
        """Whether the training or the evaluation ran with uncommitted changes."""
        return any(
            run is not None and bool(run.git_dirty) for run in (self.provenance.training, self.provenance.evaluation)
        )

    @model_validator(mode="after")
    def _ids_agree(self) -> Self:
        wanted = train_id_of(self.training), cell_id_of(self.training, self.evaluation)
        if (self.train_id, self.cell_id) != wanted:
            raise ValueError(
                f"train_id {self.train_id} and cell_id {self.cell_id} are not those of the trees inside, {wanted[0]} "
                f"and {wanted[1]}: the record was edited"
            )
        return self

    @model_validator(mode="after")
    def _status_agrees(self) -> Self:
        if self.status == "done":
            if not self.metrics:
                raise ValueError("status is 'done' but metrics is empty: a finished cell has at least one metric")
            if self.error is not None:
                raise ValueError(f"status is 'done' but error is {self.error!r}: expected null")
        else:
            if self.metrics:
                raise ValueError(f"status is {self.status!r} but metrics has {len(self.metrics)}: expected none")
            if not (self.error or "").strip():
                raise ValueError(f"status is {self.status!r} but error is empty: expected what went wrong")
        return self

    def path(self, results_dir: Path) -> Path:
        """Where this record lies under `results_dir`."""
        return results_dir / self.dataset.name / self.detector / self.cell_id / f"seed{self.seed}.json"

    def to_json(self) -> str:
        """The text of the file: sorted keys, one value a line, full precision."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False) + "\n"


def write_text_atomically(path: Path, text: str) -> Path:
    """Write `text` beside `path`, then move it there: a reader sees the old file or the new one, never half of one."""
    return write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes | memoryview) -> Path:
    """The same for bytes."""
    temporary = staged(path, content)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def staged(path: Path, content: bytes | memoryview) -> Path:
    """A file with `content` beside `path`, on the disk already, so that moving it to `path` is all that is left.

    It lies in the same folder: between file systems a move is a copy, which can be cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_record(record: Record, results_dir: Path) -> Path:
    """Write the record to its place under `results_dir`, replacing an older one; returns the path."""
    return write_text_atomically(record.path(results_dir), record.to_json())


def read_record(path: Path) -> Record:
    """Read one file. Raises RecordError naming the file and the field that is wrong."""
    try:
        record = Record.model_validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        message = f"{path}: not a record of schema version {SCHEMA_VERSION}: {problems_of(error)}"
        raise RecordError(message) from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    expected = record.path(Path())
    if path.absolute().parts[-4:] != expected.parts:
        raise RecordError(f"{path}: the record inside belongs at .../{expected}; move the file there")
    return record


def read_records(results_dir: Path) -> list[Record]:
    """All records below `results_dir`, ordered by dataset, detector, cell and seed.

    Raises RecordError if the folder does not exist, a file is broken, or one cell and seed occurs twice.
    """
    if not results_dir.is_dir():
        raise RecordError(f"no folder of records at {results_dir}; name another, or run `bench train` or `bench grid`")
    found: dict[Path, tuple[Path, Record]] = {}
    for path in sorted(results_dir.rglob("seed*.json")):
        record = read_record(path)
        identity = record.path(Path())
        if identity in found:
            raise RecordError(f"{path}: the same cell and seed is already in {found[identity][0]}; remove one of them")
        found[identity] = (path, record)
    return sorted((record for _, record in found.values()), key=_order)


def _order(record: Record) -> tuple[str, str, str, int]:
    return record.dataset.name, record.detector, record.cell_id, record.seed
