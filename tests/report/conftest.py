"""Records made up for the tests of the report and of the record itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.records.identity import cell_id_of, train_id_of
from bench.records.record import Record, write_record
from bench.records.reported import Reported

MakeRecord = Callable[..., Record]
REPLACED = ("metrics", "ablations", "changes", "speed", "versions")  # as given; other mappings are merged


def record_fields(**changes: Any) -> dict[str, Any]:
    """A complete record as plain data; a mapping among the changes is merged into it, anything else replaces.

    The trees follow from what is given: detector, ablations and changes are in that of the training, protocol and
    post-processor in that of the evaluation, as a run would have it; `training=` and `evaluation=` add to them. Ids are
    those of the trees.
    """
    run = {"git_commit": "c0ffee" * 6, "git_dirty": False, "versions": {"torch": "2.11.0"}, "device": "Some CPU"}
    fields: dict[str, Any] = {
        "schema_version": 2,
        "seed": 0,
        "detector": "scrfd_2.5g",
        "ablations": {},
        "changes": {},
        "dataset": {"name": "wider_face", "split": "val", "images": 3226, "annotation_hash": "a1b2c3d4e5f6"},
        "protocol": {"name": "wider_vga", "version": 1, "postprocess": "nms"},
        "metrics": {"val/AP_easy": 0.9, "val/AP_medium": 0.8, "val/AP_hard": 0.7},
        "cost": {
            "input_size": [480, 640],
            "params": 670_000,
            "macs": 2_500_000_000,
            "flops": 5_100_000_000,
            "params_by_component": {"backbone": 400_000, "head": 270_000},
            "macs_by_component": {"backbone": 1_500_000_000, "head": 1_000_000_000},
        },
        "speed": {},
        "provenance": {"schedule": "full", "weights": "trained", "training": run, "evaluation": run},
        "status": "done",
        "error": None,
    }
    trees = {name: changes.pop(name, {}) for name in ("training", "evaluation")}
    fields = merged(fields, changes)
    model = {"detector": fields["detector"], **fields["ablations"]}
    protocol = {key: value for key, value in fields["protocol"].items() if key != "postprocess"}
    post = {"name": fields["protocol"]["postprocess"]}
    training = merged({"model": model, "changes": fields["changes"]}, trees["training"])
    evaluation = merged({"protocol": protocol | {"score_threshold": 0.02}, "postprocess": post}, trees["evaluation"])
    ids = {"train_id": train_id_of(training), "cell_id": cell_id_of(training, evaluation)}
    return ids | {"training": training, "evaluation": evaluation} | fields


def merged(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: merged(fields[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(fields.get(key), Mapping) and key not in REPLACED
    }
    return {**fields, **changes, **both}


def published_row(**changes: Any) -> dict[str, Any]:
    """A row of published figures as plain data."""
    return {
        "detectors": ("scrfd_2.5g", "scrfd_2.5g_onnx"),
        "method": "SCRFD-2.5GF",
        "source": "paper",
        "protocol": "wider_vga",
        "ablations": {"postprocess": "nms", "sample_redistribution": "on"},
        "metrics": {"val/AP_medium": 0.9, "val/AP_hard": 0.75},
        "cost": {"params": 670_000, "macs": 2_530_000_000, "input_size": (480, 640)},
    } | changes


def reported_with(*rows: dict[str, Any]) -> Reported:
    """Published figures of these rows, or of one."""
    fields = {
        "schema_version": 1,
        "dataset": "wider_face",
        "split": "val",
        "images": 3226,
        "train_images": 12880,
        "sources": {"paper": {"title": "A <paper>", "url": "https://example.org/paper", "note": "Counts norms."}},
        "rows": rows or (published_row(),),
    }
    return Reported.model_validate(fields)


@pytest.fixture
def make_record() -> MakeRecord:
    """Builds a valid record from changes to a complete one."""

    def make(**changes: Any) -> Record:
        return Record(**record_fields(**changes))

    return make


@pytest.fixture
def failed(make_record: MakeRecord) -> MakeRecord:
    """Builds the record of a run that has no number."""

    def make(**changes: Any) -> Record:
        return make_record(**{"status": "diverged", "metrics": {}, "error": "loss is nan\nat step 7"} | changes)

    return make


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., Path]:
    """Writes records into a fresh folder and returns it."""

    def write(*records: Record) -> Path:
        folder = tmp_path / "results"
        folder.mkdir(exist_ok=True)
        for record in records:
            write_record(record, folder)
        return folder

    return write
