"""What a run tells of itself, and what it leaves alone on record."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import ConfigError
from bench.records.names import as_name
from bench.records.record import Provenance, read_record, write_record
from bench.run.cells import Cell
from bench.run.outcome import Ending, Outcome, read_outcome, record_failure
from bench.run.records import check_recordable, done_record, run_of
from bench.run.workspace import Workspace, record_path

Build = Callable[..., Cell]


@pytest.fixture
def placed(cell: Build, tmp_path: Path) -> Cell:
    return cell(f"paths.runs={tmp_path}", f"paths.results={tmp_path / 'results'}")


def put_result(cell: Cell) -> Path:
    provenance = Provenance(schedule="smoke", weights="trained", training=run_of(cell.config))
    record = done_record(cell, {"val/AP_easy": 0.5}, None, provenance, {})
    return write_record(record, Path(cell.config["paths"]["results"]))


def test_endings_come_back_as_they_were_told(tmp_path: Path) -> None:
    outcome = Outcome(Workspace(tmp_path))
    outcome.add({"a": Ending("done")})
    outcome.add({"b": Ending("timeout", "too long", kept=True)})
    assert read_outcome(outcome.path) == {"a": Ending("done"), "b": Ending("timeout", "too long", True)}
    assert (read_outcome(tmp_path / "none.json"), outcome.problem) == ({}, None)
    assert Outcome(Workspace(tmp_path)).path != outcome.path  # another run, another file


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\x00", b'"x"', b'{"a": 5, "b": {"status": "great"}}'])
def test_a_file_that_is_no_outcome_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o.json").write_bytes(content)
    assert read_outcome(tmp_path / "o.json") == {}


def test_an_outcome_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "outcomes").write_text("a file where the folder should be")
    outcome = Outcome(Workspace(tmp_path))
    outcome.add({"a": Ending("done")})
    assert outcome.endings == {"a": Ending("done")}
    assert "outcomes" in (outcome.problem or "")


def test_a_failure_is_recorded_once_and_replaced_by_the_next(placed: Cell) -> None:
    assert record_failure(placed, "failed", ValueError("one"), None) == Ending("failed", "ValueError: one")
    assert record_failure(placed, "timeout", "two", None) == Ending("timeout", "two")
    record = read_record(record_path(placed))
    assert (record.status, record.error) == ("timeout", "two")


def test_a_result_is_not_replaced_by_a_failure(placed: Cell) -> None:
    path = put_result(placed)
    before = path.read_bytes()
    assert record_failure(placed, "failed", "no", None) == Ending("failed", "no", kept=True)
    assert path.read_bytes() == before


def test_what_stands_in_the_way_of_a_record_is_told(placed: Cell) -> None:
    path = record_path(placed)
    path.parent.mkdir(parents=True)
    path.write_text("no record")
    ending = record_failure(placed, "failed", "no", None)
    assert (ending.status, ending.kept) == ("failed", False)
    assert str(ending.error).startswith("no (and this cannot be recorded: ")
    assert path.read_text() == "no record"


def test_a_cell_that_no_record_takes_is_refused_first(cell: Build) -> None:
    check_recordable(cell())
    with pytest.raises(ConfigError, match=r"cannot be recorded: postprocess: "):
        check_recordable(cell("postprocess.name=''"))


@pytest.mark.parametrize(("key", "text"), [("detector.name", "My detector, v2"), ("data.name", "a/b")])
def test_a_name_that_names_no_folder_is_refused_with_one_that_does(cell: Build, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"expected {key} .* found `{text}`; {key}={as_name(text)} would do"):
        cell(f"{key}='{text}'")


def test_the_nearest_name() -> None:
    assert as_name("Results (final v2)") == "Results_final_v2"
    assert as_name("../..") == as_name("(…)") == ""
    assert as_name("scrfd-0.5g+kps") == "scrfd-0.5g+kps"
