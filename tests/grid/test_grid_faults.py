"""What a grid tells when something goes wrong: of this run, and never of what an earlier one left on record."""

import json
import os
import resource
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bench.grid.enumerate import enumerate_cells
from bench.run.cells import Cell

from ..faults import PATIENCE, put_done, put_failed, records, running, statuses, told, trains, wait_for

CONF = Path(__file__).resolve().parents[1] / "conf"
LONG = "detector.recipe.epochs=500"  # until somebody ends it


def words(drawn: Path, *more: str) -> list[str]:
    return ["grid", "mini", "--config-dir", str(CONF), f"data.root={drawn}", "+only.detector=[scrfd_tiny]", *more]


def cells(drawn: Path, *more: str) -> list[Cell]:
    """Those of `words`: one training, two evaluations."""
    grid = OmegaConf.load(CONF / "grid" / "mini.yaml")
    grid.cell_overrides = [f"data.root={drawn}", *more]
    grid.only = {"detector": ["scrfd_tiny"]}
    return enumerate_cells(grid)


@pytest.fixture
def finished(tmp_path: Path, drawn: Path) -> dict[Path, bytes]:
    """Results on record of both cells; the bytes of their files."""
    paths = [put_done(cell, tmp_path / "runs" / "results") for cell in cells(drawn, LONG)]
    return {path: path.read_bytes() for path in paths}


def content(paths: dict[Path, bytes]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in paths}


def test_a_killed_worker_is_not_told_as_done_for_the_sake_of_older_records(
    tmp_path: Path, drawn: Path, finished: dict[Path, bytes]
) -> None:
    with running(tmp_path, *words(drawn, LONG, "overwrite=always", "format=json")) as grid:
        os.kill(wait_for(trains(tmp_path), grid, tmp_path)["pid"], signal.SIGKILL)
        assert grid.wait(PATIENCE) == 1
    said = told(tmp_path)
    assert "interrupted (1 of 1" in said
    assert said.count("the process was ended by signal 9 (SIGKILL)") == 3  # at once, and of each cell at the end
    assert said.count("the result of an earlier run is kept") == 2
    document = json.loads((tmp_path / "out.txt").read_text())
    assert [(cell["status"], cell["run"]["status"]) for cell in document["cells"]] == [("done", "interrupted")] * 2
    assert content(finished) == finished


def test_a_timeout_is_told_over_older_records(tmp_path: Path, drawn: Path, finished: dict[Path, bytes]) -> None:
    with running(tmp_path, *words(drawn, LONG, "overwrite=always", "launcher.timeout_minutes=0.05")) as grid:
        assert grid.wait(PATIENCE) == 1
    assert "timeout: took longer than launcher.timeout_minutes=0.05; the result of an earlier" in told(tmp_path)
    assert content(finished) == finished


def test_an_older_failure_is_not_told_as_the_one_of_this_run(tmp_path: Path, drawn: Path) -> None:
    for cell in cells(drawn, LONG):
        put_failed(cell, tmp_path / "runs" / "results")
    with running(tmp_path, *words(drawn, LONG)) as grid:
        os.kill(wait_for(trains(tmp_path), grid, tmp_path)["pid"], signal.SIGKILL)
        assert grid.wait(PATIENCE) == 1
    assert "SIGKILL" in told(tmp_path)
    assert "the error of an earlier run" not in told(tmp_path)
    assert statuses(tmp_path) == ["interrupted"] * 2


def test_a_failure_that_was_not_tried_again_is_told_as_an_earlier_one(tmp_path: Path, drawn: Path) -> None:
    for cell in cells(drawn, LONG):
        put_failed(cell, tmp_path / "runs" / "results")
    with running(tmp_path, *words(drawn, LONG, "overwrite=never")) as grid:
        assert grid.wait(PATIENCE) == 0
    assert told(tmp_path).count("not run now; an earlier run failed: the error of an earlier run") == 2


def test_overlapping_grids_do_not_take_each_others_jobs(tmp_path: Path, drawn: Path) -> None:
    """Two cells of one training, each asked for by a grid of its own, at once."""
    grids = {name: tmp_path / name for name in ("nms", "blending")}
    store = [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'runs' / 'results'}"]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running(folder, *words(drawn, *store, f"+only.postprocess=[{name}]")))
            for name, folder in grids.items()
        ]
        assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    assert sorted(record.protocol.postprocess for record in records(tmp_path)) == ["blending", "nms"]
    assert statuses(tmp_path) == ["done"] * 2
    assert {record.provenance.training.parts for record in records(tmp_path) if record.provenance.training} == {1}


def test_a_full_disk_is_told_by_the_grid(tmp_path: Path, drawn: Path) -> None:
    """Files may grow to 60 kB: a record has its place, a checkpoint has not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    with running(tmp_path, *words(drawn), preexec_fn=limit) as grid:
        assert grid.wait(PATIENCE) == 1
    assert "failed: OSError: [Errno 27] File too large" in told(tmp_path)
    assert "Traceback" not in told(tmp_path)
    assert statuses(tmp_path) == ["failed"] * 2


def test_a_place_where_nothing_can_be_written_is_told_by_the_grid(tmp_path: Path, drawn: Path) -> None:
    """Neither outcome nor record has a place: files stand where their folders should be."""
    (first, _) = cells(drawn)
    training = tmp_path / "runs" / "trainings" / first.train_id / "seed0"
    training.mkdir(parents=True)
    (training / "outcomes").write_text("")
    (training / "checkpoints").write_text("")
    (tmp_path / "results").write_text("")
    with running(tmp_path, *words(drawn, "paths.results=results")) as grid:
        assert grid.wait(PATIENCE) == 1
    said = told(tmp_path)
    # Of both cells; the line of the display before them is cut at its end.
    assert said.count("and this cannot be recorded: [Errno 20] Not a directory") in (2, 3)
    assert "the outcome cannot be written: [Errno 17] File exists" in said
    assert "Traceback" not in said


def test_a_training_that_cannot_be_started_does_not_stop_the_others(tmp_path: Path, drawn: Path) -> None:
    (first, _) = cells(drawn)
    (tmp_path / "runs" / "trainings").mkdir(parents=True)
    (tmp_path / "runs" / "trainings" / first.train_id).write_text("a file where the folder should be")
    every = [word for word in words(drawn) if not word.startswith("+only")]
    with running(tmp_path, *every, "+only.postprocess=[nms]") as grid:
        assert grid.wait(PATIENCE) == 1
    assert "scrfd_tiny (postprocess=nms) seed 0 failed: cannot be started: [Errno 20] Not a dir" in told(tmp_path)
    assert [(record.detector, record.status) for record in records(tmp_path)] == [("blazeface_tiny", "done")]


def test_a_name_that_names_no_folder_is_refused_before_anything_runs(tmp_path: Path, drawn: Path) -> None:
    with running(tmp_path, *words(drawn, "data.name=My data")) as grid:
        assert grid.wait(PATIENCE) == 1
    assert "found `My data`; data.name=My_data would do" in told(tmp_path)
    assert "Traceback" not in told(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_terminated_grid_records_what_it_ends(tmp_path: Path, drawn: Path) -> None:
    with running(tmp_path, *words(drawn, LONG)) as grid:
        worker = wait_for(trains(tmp_path), grid, tmp_path)["pid"]
        grid.send_signal(signal.SIGTERM)
        assert grid.wait(PATIENCE) == 143
    assert told(tmp_path).endswith("interrupted by SIGTERM; run the same command again to go on\n")
    assert [(record.status, record.error) for record in records(tmp_path)] == [
        ("interrupted", "interrupted by SIGTERM")
    ] * 2
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
