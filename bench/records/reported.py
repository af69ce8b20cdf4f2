"""Published figures, as a file of their own: shown beside what the suite measures, never among it."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from bench.errors import BenchError
from bench.records.record import Record
from bench.records.schema import Metrics, Name, Part, Positive, Size, Text, problems_of

REPORTED_VERSION = 1
Url = Annotated[str, Field(pattern=r"^https?://\S+$")]  # becomes a link of the page


class ReportedError(BenchError):
    """A file of published figures that cannot be read or does not follow its schema."""


class Source(Part):
    """Where figures were published, and what is to be known about all of them."""

    title: Text
    url: Url
    paper: Url | None = None
    note: Text | None = None


class ReportedCost(Part):
    """Parameters and multiply-accumulates of one image at `input_size` (H, W), rounded as in the source."""

    params: Positive
    macs: Positive
    input_size: Size
    note: Text | None = None


class ReportedSpeed(Part):
    latency_ms: Annotated[float, Field(gt=0)]
    device: Text


class ReportedRow(Part):
    """One published row.

    `detectors`: the suite's names of what was published, none where the suite has it not. `ablations`: axis -> label
    that a row of the suite has when it stands for the same thing, `postprocess` among them; an axis that is not named
    here is one that the published detector did not change.
    """

    detectors: tuple[Name, ...] = ()
    method: Text
    backbone: Text | None = None
    source: Text
    protocol: Name
    ablations: dict[str, Text] = Field(default_factory=dict)
    metrics: Annotated[Metrics, Field(min_length=1)]
    cost: ReportedCost | None = None
    speed: ReportedSpeed | None = None
    note: Text | None = None


class Reported(Part):
    """Published figures on one dataset and split, of `images` images; `train_images` is the published training set."""

    schema_version: Literal[1]
    dataset: Name
    split: Name
    images: Positive
    train_images: Positive | None = None
    sources: dict[str, Source]
    rows: tuple[ReportedRow, ...]

    @model_validator(mode="after")
    def _rows_are_told_apart(self) -> Self:
        for row in self.rows:
            if row.source not in self.sources:
                known = ", ".join(sorted(self.sources))
                raise ValueError(f"source {row.source!r} of {row.method} is not under sources, which has: {known}")
        names = Counter((name, row.protocol, row.source) for row in self.rows for name in row.detectors)
        for (name, protocol, source), count in names.items():
            if count > 1:
                raise ValueError(
                    f"{count} rows of source {source!r} name the detector {name} under {protocol}: expected one"
                )
        return self

    def rows_of(self, record: Record) -> tuple[ReportedRow, ...]:
        """The rows under the protocol of the record as it was published, if its data is what they were published on."""
        if (record.dataset.name, record.dataset.split) != (self.dataset, self.split) or record.protocol.base:
            return ()
        return tuple(row for row in self.rows if row.protocol == record.protocol.name)


def read_reported(path: Path) -> Reported:
    """Read one YAML file. Raises ReportedError naming the file and the field that is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Reported.model_validate_json(json.dumps(content, allow_nan=False), strict=True)
    except OSError as error:
        raise ReportedError(
            f"{path}: expected a file of published figures, but it cannot be read: {error.strerror}; "
            "name another with reported=FILE, or none with reported=null"
        ) from error
    except yaml.YAMLError as error:
        raise ReportedError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        hint = " (YAML reads on, off, yes and no as truth values: quote them)" if "valid string" in str(error) else ""
        raise ReportedError(
            f"{path}: not published figures of schema version {REPORTED_VERSION}: {problems_of(error)}{hint}"
        ) from error
    except (TypeError, ValueError) as error:
        raise ReportedError(f"{path}: expected text and finite numbers: {error}") from error
