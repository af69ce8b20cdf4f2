"""How `bench train` ends when it is interrupted, when something breaks, and what it leaves as it was."""

import signal
from pathlib import Path

import pytest
from filelock import FileLock

from bench.config import compose
from bench.run.cells import Cell, make_cell
from bench.run.checkpoints import damage
from bench.run.workspace import Workspace

from ..faults import PATIENCE, put_done, records, running, statuses, told, trains, wait_for

LONG = "detector.recipe.epochs=500"  # until somebody ends it


def words(drawn: Path, *more: str) -> list[str]:
    return ["data=synth_faces", "debug=fast", "data.val_images=8", f"data.root={drawn}", *more]


def cell_of(folder: Path, drawn: Path, *more: str) -> Cell:
    """The cell of these words, as if the command ran in `folder`."""
    cell = make_cell(compose("_cell", words(drawn, *more)), words(drawn, *more))
    paths = {**cell.config["paths"], "runs": str(folder / "runs"), "results": str(folder / "runs" / "results")}
    return Cell(**{**vars(cell), "config": {**cell.config, "paths": paths}})


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_that_is_asked_to_end_is_interrupted(
    tmp_path: Path, drawn: Path, number: signal.Signals, status: int
) -> None:
    with running(tmp_path, "train", *words(drawn, LONG)) as training:
        wait_for(trains(tmp_path), training, tmp_path)
        training.send_signal(number)
        assert training.wait(PATIENCE) == status
    (record,) = records(tmp_path)
    assert (record.status, record.error) == ("interrupted", f"interrupted by {number.name}")
    last_line = told(tmp_path).splitlines()[-1]
    assert last_line == f"interrupted by {number.name}; run the same command again to go on from the last epoch"
    assert "Traceback" not in told(tmp_path)
    (last,) = (tmp_path / "runs").rglob("last.ckpt")
    assert damage(last) is None


def test_a_cut_checkpoint_is_left_for_the_one_before_it(tmp_path: Path, drawn: Path) -> None:
    few = words(drawn, "detector.recipe.epochs=2", "validation.every_n_epochs=1")
    with running(tmp_path, "train", *few) as training:
        assert training.wait(PATIENCE) == 0
    (record,) = records(tmp_path)
    record_file = record.path(tmp_path / "runs" / "results")
    record_file.unlink()
    folder = tmp_path / "runs" / "trainings" / record.train_id / "seed0"
    (folder / "training.json").unlink()  # as if it had been killed before it was finished
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    with running(tmp_path, "train", *few) as training:
        assert training.wait(PATIENCE) == 0
    assert f"{last.relative_to(tmp_path)} is damaged (File is not a zip file)" in told(tmp_path)
    assert "going back to before_last.ckpt" in told(tmp_path)
    assert [again.metrics for again in records(tmp_path)] == [record.metrics]


def test_data_that_vanishes_in_mid_run_leaves_the_result_and_its_checkpoint(tmp_path: Path, drawn: Path) -> None:
    root = tmp_path / "drawn"
    cell = cell_of(tmp_path, root, LONG)
    path = put_done(cell, tmp_path / "runs" / "results")
    workspace = Workspace.of(cell)
    workspace.checkpoints.mkdir(parents=True)
    workspace.best_checkpoint.write_bytes(b"the weights of the result")
    (workspace.root / "training.json").write_text('{"finished": true, "losses": {}, "parts": []}')
    before = path.read_bytes()
    with running(tmp_path, "train", *words(root, LONG, "overwrite=always")) as training:
        wait_for(trains(tmp_path), training, tmp_path)
        for image in root.rglob("*.jpg"):
            image.unlink()
        assert training.wait(PATIENCE) == 1
    assert f"failed; the result of an earlier run is kept: {path.relative_to(tmp_path)}" in told(tmp_path)
    assert path.read_bytes() == before
    assert workspace.best_checkpoint.read_bytes() == b"the weights of the result"
    assert not workspace.last_checkpoint.exists()
    assert not workspace.previous.exists()


def test_a_second_training_says_that_it_waits(tmp_path: Path, drawn: Path) -> None:
    cell = cell_of(tmp_path, drawn)
    put_done(cell, tmp_path / "runs" / "results")
    workspace = Workspace.of(cell)
    workspace.root.mkdir(parents=True)
    with FileLock(workspace.root / "lock") as lock, running(tmp_path, "train", *words(drawn)) as training:
        wait_for(lambda: "another process is at this training" in told(tmp_path), training, tmp_path)
        assert "waiting until it ends" in told(tmp_path)
        lock.release()
        assert training.wait(PATIENCE) == 0
    assert "is done already" in told(tmp_path)


def test_a_job_that_fails_does_not_end_the_multirun(tmp_path: Path, drawn: Path) -> None:
    with running(tmp_path, "train", "-m", *words(drawn, "weights=missing.ckpt,null")) as training:
        assert training.wait(PATIENCE) == 1
    assert statuses(tmp_path) == ["done"]
    said = told(tmp_path)
    assert "error: expected weights at missing.ckpt" in said
    assert "1 of 2 jobs failed:\n  #0 data=synth_faces" in said
    (failed,) = [line for line in said.splitlines() if line.startswith("  #")]
    assert failed.endswith(" weights=missing.ckpt")
