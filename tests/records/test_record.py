import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from bench.records.record import Record, RecordError, read_record, read_records, write_record


def test_round_trip_keeps_every_bit(make_record, tmp_path):
    record = make_record(
        metrics={"val/AP_hard": 0.1 + 0.2, "val/x": np.float32(0.7)}, seed=3, speed={"speed/a/b_p50": 1 / 3}
    )
    path = write_record(record, tmp_path)
    assert path == tmp_path / "wider_face" / "scrfd_2.5g" / record.cell_id / "seed3.json"
    assert read_record(path) == record
    assert read_record(path).metrics["val/AP_hard"] == 0.30000000000000004


def test_file_is_sorted_json_with_a_newline_and_no_leftovers(make_record, tmp_path):
    path = write_record(make_record(), tmp_path)
    text = path.read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"
    assert [file.name for file in path.parent.iterdir()] == ["seed0.json"]


def test_a_failed_write_keeps_the_old_file(make_record, tmp_path, monkeypatch):
    path = write_record(make_record(), tmp_path)
    before = path.read_text()

    def refuse(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_record(make_record(metrics={"val/AP": 0.5}), tmp_path)
    assert path.read_text() == before
    assert os.listdir(path.parent) == ["seed0.json"]  # noqa: PTH208 - names alone


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {}}, "at least one metric"),
        ({"error": "boom"}, "expected null"),
        ({"status": "failed", "error": "boom"}, "expected none"),
        ({"status": "failed", "metrics": {}, "error": " "}, "expected what went wrong"),
        ({"status": "cancelled", "metrics": {}, "error": "x"}, "status"),
        ({"metrics": {"val/AP": float("nan")}}, "finite"),
        ({"metrics": {"val/AP": 81.2}}, "not a percentage"),
        ({"metrics": {"val/APs": -1.0}}, "undefined"),
        ({"speed": {"speed/x/y": float("inf")}}, "finite"),
        ({"provenance": {"training": {"started_at": "2026-01-31T12:00:00"}}}, "UTC"),
        ({"provenance": {"evaluation": {"started_at": "2026-01-31T12:00:00+02:00"}}}, "UTC"),
        ({"provenance": {"training": {"parts": 0}}}, "greater than or equal to 1"),
        ({"provenance": {"device": "a CPU"}}, "Extra inputs"),
        ({"detector": "../escape"}, "pattern"),
        ({"dataset": {"images": 0}}, "greater than or equal to 1"),
        ({"dataset": {"colour": "red"}}, "Extra inputs"),
        ({"dataset": {"images": None}}, "valid integer"),
        ({"dataset": {"annotation_hash": None}}, "valid string"),
        ({"protocol": {"base": "../escape"}}, "pattern"),
        ({"schema_version": 1}, "2"),
        ({"cell_id": "0123456789"}, "the record was edited"),
        ({"train_id": "0123456789"}, "the record was edited"),
    ],
)
def test_what_is_no_record_is_refused(make_record, changes, message):
    with pytest.raises(ValidationError, match=message):
        make_record(**changes)


@pytest.mark.parametrize("field", ["changes", "training", "evaluation"])
@pytest.mark.parametrize("value", [float("nan"), Path("x"), {1, 2}])
def test_trees_and_changes_are_finite_json(make_record, field, value):
    fields = make_record().model_dump()
    with pytest.raises(ValidationError, match="finite JSON"):
        Record(**fields | {field: {"threshold": value}})


def test_a_time_in_utc_is_accepted(make_record):
    make_record(provenance={"evaluation": {"started_at": "2026-01-31T12:00:00Z"}})


def test_trees_equal_what_is_read_back(make_record, tmp_path):
    record = make_record(evaluation={"protocol": {"pad_to": (640, 480)}}, changes={"augmentation.sizes": (1, 2)})
    assert record.evaluation["protocol"]["pad_to"] == [640, 480]
    assert record.changes == {"augmentation.sizes": [1, 2]}
    assert read_record(write_record(record, tmp_path)) == record


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda text: text.replace('"val/AP_hard": 0.7', '"val/AP_hard": NaN'), "metrics.val/AP_hard"),
        (lambda text: text.replace('"val/AP_hard": 0.7', '"val/AP_hard": 1e999'), "metrics.val/AP_hard"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), "seed"),
        (lambda text: text.replace('"params": 670000', '"params": "many"'), "cost.params"),
        (lambda text: text.replace('"train_id"', '"train_hash"'), "train_hash: unknown field"),
        (lambda text: text.replace('"score_threshold": 0.02', '"score_threshold": 0.5'), "the record was edited"),
        (lambda text: text[:-20], "Invalid JSON"),
    ],
)
def test_a_broken_file_is_named_with_its_field(make_record, tmp_path, edit, field):
    path = write_record(make_record(), tmp_path)
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))
    with pytest.raises(RecordError) as caught:
        read_records(tmp_path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


def test_a_record_in_the_wrong_place_is_refused(make_record, tmp_path):
    path = write_record(make_record(), tmp_path)
    moved = path.with_name("seed1.json")
    path.rename(moved)
    with pytest.raises(RecordError, match=r"belongs at .*seed0\.json"):
        read_record(moved)


def test_the_same_cell_twice_is_refused(make_record, tmp_path):
    write_record(make_record(), tmp_path / "one")
    write_record(make_record(), tmp_path / "two")
    with pytest.raises(RecordError, match="already in"):
        read_records(tmp_path)


def test_order_is_by_dataset_detector_cell_and_seed(make_record, tmp_path):
    records = [
        make_record(dataset={"name": dataset}, detector=detector, training={"depth": depth}, seed=seed)
        for dataset in ("wider", "coco")
        for detector in ("b", "a")
        for depth in (1, 2)
        for seed in (10, 0, 2)
    ]
    for record in records:
        write_record(record, tmp_path)
    expected = sorted((r.dataset.name, r.detector, r.cell_id, r.seed) for r in records)
    assert [(r.dataset.name, r.detector, r.cell_id, r.seed) for r in read_records(tmp_path)] == expected


def test_a_missing_folder_is_an_error_and_an_empty_one_is_not(tmp_path):
    with pytest.raises(RecordError, match="no folder of records"):
        read_records(tmp_path / "nowhere")
    assert read_records(tmp_path) == []


def test_what_follows_from_the_trees_and_the_runs(make_record):
    data = {"name": "wider_face", "split": "train", "images": 710}
    runs = {"training": {"git_commit": "a", "git_dirty": True}, "evaluation": {"git_commit": "b"}}
    trained = make_record(training={"recipe": {"epochs": 14}, "data": data}, provenance=runs)
    assert (trained.epochs, trained.train_data) == (14, data)
    assert (trained.git_commits, trained.git_dirty) == (("a", "b"), True)
    imported = make_record(provenance={"training": None, "evaluation": {"git_commit": None}})
    assert (imported.epochs, imported.train_data) == (None, None)
    assert (imported.git_commits, imported.git_dirty) == ((None,), False)
    assert make_record(provenance={"training": None, "evaluation": None}).git_commits == ()
