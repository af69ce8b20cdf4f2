"""The grid through the real command: records, repetition, kills, failures, two at once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.records.record import read_records

CONF = Path(__file__).resolve().parents[1] / "conf"
KILLS = 5


def arguments(drawn: Path, *more: str) -> list[str]:
    """One thread each: sums over threads end in another last digit."""
    return ["mini", "--config-dir", str(CONF), "launcher.threads=1", f"data.root={drawn}", *more]


def start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def run(folder: Path, words: list[str]) -> None:
    process = start(folder, words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def measured(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What of the records must not depend on interruptions."""
    return {
        (record.cell_id, record.seed): {
            "status": record.status,
            "metrics": record.metrics,
            "cost": record.cost,
            "dataset": record.dataset,
            "ablations": record.ablations,
        }
        for record in read_records(folder / "runs" / "results")
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, ["grid", *arguments(drawn), "launcher.max_parallel=2"])
    return folder


def test_cells_that_differ_in_evaluation_are_trained_once(undisturbed: Path) -> None:
    records = read_records(undisturbed / "runs" / "results")
    assert len(records) == 4
    assert len({record.train_id for record in records}) == 2
    assert len(list((undisturbed / "runs" / "trainings").glob("*/seed0/checkpoints/best.ckpt"))) == 2
    assert {record.ablations["postprocess"] for record in records} == {"nms", "blending"}
    for record in records:
        assert record.status == "done"
        assert {"val/AP_easy", "val/AP_medium", "val/AP_hard", "train/loss"} <= set(record.metrics)
        assert record.dataset.images == 8


def test_repetition_trains_nothing(undisturbed: Path, drawn: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "runs").rglob("*") if path.is_file()}
    run(undisturbed, ["grid", *arguments(drawn)])
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / "runs").rglob("*") if path.is_file()} == before


def test_status_tells_every_cell(undisturbed: Path, drawn: Path) -> None:
    described = [word for word in arguments(drawn) if not word.startswith("launcher.")]
    words = [sys.executable, "-m", "bench", "status", *described, "format=json"]
    out = subprocess.run(words, cwd=undisturbed, capture_output=True, text=True, timeout=120)
    document = json.loads(out.stdout)
    assert [cell["status"] for cell in document["cells"]] == ["done"] * 4
    assert all({"cell_id", "seed", "status"} <= set(cell) for cell in document["cells"])


def test_a_grid_killed_five_times_gives_the_same_records(tmp_path: Path, undisturbed: Path, drawn: Path) -> None:
    moments = random.Random(0)
    words = ["grid", *arguments(drawn), "launcher.max_parallel=2"]
    for _ in range(KILLS):
        process = start(tmp_path, words)
        time.sleep(moments.uniform(2.0, 16.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(tmp_path, words)
    assert measured(tmp_path) == measured(undisturbed)


def test_two_grids_at_once_share_the_work(tmp_path: Path, undisturbed: Path, drawn: Path) -> None:
    processes = [start(tmp_path, ["grid", *arguments(drawn)]) for _ in range(2)]
    for process in processes:
        assert process.wait(timeout=300) == 0
    assert measured(tmp_path) == measured(undisturbed)
    for log in (tmp_path / "runs" / "trainings").rglob("log.txt"):
        assert log.read_text().count("reached") <= 1  # trained by one of them only


def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path: Path, drawn: Path) -> None:
    """A head that its norm's groups do not divide breaks SCRFD alone; `+` gives the other detector a key it refuses."""
    config = tmp_path / "conf" / "grid"
    config.mkdir(parents=True)
    text = (CONF / "grid" / "mini.yaml").read_text()
    broken = text.replace("name: mini", "name: broken").replace(
        "detector: [scrfd_tiny, blazeface_tiny]",
        "detector: {broken: [detector=scrfd_tiny, detector.model.head.norm=group, detector.model.head.groups=7], "
        "good: detector=blazeface_tiny}",
    )
    (config / "broken.yaml").write_text(broken)
    words = ["grid", "broken", "--config-dir", str(tmp_path / "conf"), f"data.root={drawn}"]
    process = start(tmp_path, words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    records = read_records(tmp_path / "runs" / "results")
    assert sorted((record.detector, record.status) for record in records) == [
        ("blazeface_tiny", "done"),
        ("blazeface_tiny", "done"),
        ("scrfd_tiny", "failed"),
        ("scrfd_tiny", "failed"),
    ]
    failed = [record for record in records if record.status == "failed"]
    assert all("7" in (record.error or "") and not record.metrics for record in failed)
    assert b"scrfd_tiny" in errors


def test_a_diverging_cell_says_so(tmp_path: Path, drawn: Path) -> None:
    words = ["grid", *arguments(drawn, "detector.recipe.lr=1.0e+30", "detector.recipe.warmup_iterations=0")]
    process = start(tmp_path, words)
    process.communicate(timeout=300)
    assert process.returncode == 1
    assert {record.status for record in read_records(tmp_path / "runs" / "results")} == {"diverged"}


def test_a_training_that_takes_too_long_is_a_timeout(tmp_path: Path, drawn: Path) -> None:
    process = start(tmp_path, ["grid", *arguments(drawn), "launcher.timeout_minutes=0.02", "on_error=stop"])
    process.communicate(timeout=300)
    assert process.returncode == 1
    records = read_records(tmp_path / "runs" / "results")
    assert {record.status for record in records} == {"timeout"}
    assert len(records) == 2  # of the first training; the second was not begun
