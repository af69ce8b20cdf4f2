"""Records made up for the tests of the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.report.records import Record, write_record

MakeRecord = Callable[..., Record]


def record_fields(**changes: Any) -> dict[str, Any]:
    """A complete record as plain data; a dict among the changes is merged into it, anything else replaces."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "cell_id": "cell0",
        "train_id": "train0",
        "seed": 0,
        "detector": "scrfd_2.5g",
        "ablations": {},
        "dataset": {"name": "wider_face", "split": "val", "images": 3226, "annotation_hash": "a1b2c3d4e5f6"},
        "protocol": {"name": "wider_vga", "version": 1, "postprocess": "nms", "settings": {"size": [640, 640]}},
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
        "provenance": {"schedule": "full", "weights": "trained", "versions": {"torch": "2.11.0"}, "device": "Some CPU"},
        "status": "done",
        "error": None,
    }
    for key, value in changes.items():
        merged = (
            isinstance(value, dict) and isinstance(fields[key], dict) and key not in ("metrics", "ablations", "speed")
        )
        fields[key] = fields[key] | value if merged else value
    return fields


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
