"""How a process ended, from its outcome, its last words, or the system alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from bench.grid.settle import settle
from bench.grid.worker import last_words, read_job, write_job
from bench.run.cells import Cell
from bench.run.outcome import Ending, Outcome
from bench.run.workspace import Workspace, record_path


@pytest.fixture
def placed(cell: Callable[..., Cell], tmp_path: Path) -> Cell:
    placed = cell(f"paths.runs={tmp_path}", f"paths.results={tmp_path / 'results'}")
    Workspace.of(placed).root.mkdir(parents=True)
    return placed


def ending_of(cell: Cell, outcome: Outcome, code: int, spoken: bytes = b"", timeout: str | None = None) -> Ending:
    return settle([cell], outcome.path, code, spoken, timeout)[cell.cell_id]


def test_what_a_run_told_counts_whatever_became_of_its_process(placed: Cell) -> None:
    outcome = Outcome(Workspace.of(placed))
    outcome.add({placed.cell_id: Ending("done")})
    assert ending_of(placed, outcome, -9) == Ending("done")
    assert not record_path(placed).exists()


def test_a_process_that_told_nothing(placed: Cell) -> None:
    workspace = Workspace.of(placed)
    workspace.log.write_text("begun\nImportError: no module\n\n")
    silent = Outcome(workspace)
    killed = ending_of(placed, silent, -11)
    assert (killed.status, str(killed.error)) == (
        "interrupted",
        f"the process was ended by signal 11 (SIGSEGV); its log is {workspace.log}",
    )
    assert ending_of(placed, silent, -9, timeout="took too long") == Ending("timeout", "took too long")
    ended = ending_of(placed, silent, 1)
    assert ended.status == "failed"
    assert str(ended.error).startswith("the process ended with exit status 1 and told no outcome; its log, ")
    assert str(ended.error).endswith("ends with: ImportError: no module")


def test_last_words_stand_in_for_an_outcome_that_has_no_place(placed: Cell) -> None:
    workspace = Workspace.of(placed)
    (workspace.root / "outcomes").write_text("a file where the folder should be")
    outcome = Outcome(workspace)
    outcome.add({"another": Ending("done"), placed.cell_id: Ending("diverged", "the loss became nan")})
    spoken = last_words(outcome)
    ending = ending_of(placed, outcome, 1, spoken)
    assert ending.status == "diverged"
    assert str(ending.error).startswith("the loss became nan (the outcome cannot be written: ")
    assert ending_of(placed, outcome, 1, spoken[:20]).status == "failed"  # half of them are none


def test_nothing_is_recorded_while_another_process_is_at_the_training(placed: Cell) -> None:
    with FileLock(Workspace.of(placed).root / "lock"):
        ending = ending_of(placed, Outcome(Workspace.of(placed)), -9)
    assert "not recorded: another process is at this training" in str(ending.error)
    assert not record_path(placed).exists()


def test_a_job_comes_back_as_it_was_given(placed: Cell) -> None:
    with write_job([placed], "always", "run") as first, write_job([placed], "never", "other") as second:
        assert read_job(first) == ([placed], "always", "run")
        assert read_job(second)[1:] == ("never", "other")
