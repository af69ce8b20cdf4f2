"""The other verbs through the real command: help, profile, predict, data, train, report."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from bench import create_detector
from bench.__main__ import VERBS, for_every_cell, options_last
from bench.config import compose
from bench.records.identity import file_sha256
from bench.records.record import read_records
from bench.run.cells import Cell, make_cell
from bench.run.statistics import read_statistics
from bench.run.train import run_cells

Bench = Callable[..., CompletedProcess[str]]
TINY = ["data=synth_faces", "debug=fast", "data.val_images=8"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(bench: Bench, verb: str) -> None:
    done = bench(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"bench {verb}" in done.stdout


def test_an_unknown_verb_is_refused(bench: Bench) -> None:
    done = bench("trian")
    assert done.returncode == 2
    assert "trian" in done.stderr


def test_profile_writes_one_json_document(bench: Bench) -> None:
    done = bench(
        "profile",
        "detectors=[scrfd_2.5g,scrfd_0.5g]",
        "profile.input_size=[480,640]",
        "profile.repeats=2",
        "format=json",
    )
    assert done.returncode == 0, done.stderr
    large, small = json.loads(done.stdout)
    assert (large["detector"], large["params"]) == ("scrfd_2.5g", 671761)
    assert large["macs"] == pytest.approx(2498515000, rel=1e-3)
    assert (small["params"], small["macs"]) == (572741, pytest.approx(477583000, rel=1e-3))
    for row in (large, small):
        assert row["flops"] == 2 * row["macs"]
        assert sum(row["macs_by_component"].values()) == row["macs"]
        assert any(key.endswith("end_to_end_ms_p99") for key in row["speed"])


def test_profile_tells_the_backbone_of_blazeface(bench: Bench) -> None:
    done = bench("profile", "blazeface", "profile.input_size=[128,128]", "profile.latency=false", "format=json")
    assert json.loads(done.stdout)[0]["macs_backbone"] == 32_678_400


def test_predict_answers_in_pixels_of_the_original(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (90, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), noise)
    cv2.imwrite(str(folder / "b.jpg"), noise[:, :70])
    done = bench("predict", "photos", "detector=scrfd_tiny", "output=drawn", "score_threshold=0.0", "format=json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert first["size"] == [90, 200]
    assert second["size"] == [90, 70]
    assert len(first["boxes"]) == len(first["scores"]) == len(first["labels"]) == len(first["keypoints"])
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]


def test_predict_names_what_it_cannot_read(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    done = bench("predict", "broken.jpg", "detector=scrfd_tiny")
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr


def test_train_writes_a_record_and_resumes_nothing_twice(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    words = ["train", *TINY, f"data.root={drawn}", "detector=scrfd_tiny", "detector.recipe.lr=0.02", "logger=csv"]
    done = bench(*words, "format=json")
    assert done.returncode == 0, done.stderr
    (record,) = read_records(tmp_path / "runs" / "results")
    assert json.loads(done.stdout)[0]["cell_id"] == record.cell_id
    assert record.ablations == {"debug": "fast"}
    assert record.changes == {"recipe.lr": 0.02}
    assert record.provenance.schedule == "smoke"
    assert record.train_data is not None
    folder = tmp_path / "runs" / "trainings" / record.train_id / "seed0"
    assert yaml.safe_load((folder / "config.yaml").read_text())["detector"]["recipe"]["lr"] == 0.02
    (statistics,) = folder.rglob("*.safetensors")
    assert record.statistics == {"wider_face": file_sha256(statistics)}
    ids, arrays = read_statistics(statistics)
    assert (len(ids), arrays["counts"].sum()) == (8, len(arrays["scores"]))
    assert "is done already" in bench(*words).stderr


def test_an_added_key_that_nobody_reads_is_refused(bench: Bench, drawn: Path) -> None:
    done = bench("train", *TINY, f"data.root={drawn}", "+weight=best.ckpt")
    assert done.returncode == 1
    assert "nothing reads `weight`" in done.stderr


def test_a_training_begins_from_weights(drawn: Path, tmp_path: Path) -> None:
    """Recorded, in the identity by content: the same file under another name makes the same training."""
    torch.manual_seed(1)
    state = dict(create_detector("scrfd_tiny").state_dict())
    save_file(state, tmp_path / "begin.safetensors")
    (tmp_path / "same.safetensors").write_bytes((tmp_path / "begin.safetensors").read_bytes())
    words = [*TINY, f"data.root={drawn}", "detector=scrfd_tiny", "detector.recipe.lr=0.0"]
    words += [f"paths.runs={tmp_path}", f"paths.results={tmp_path / 'results'}"]

    def cell(*more: str) -> Cell:
        return make_cell(compose("_cell", [*words, *more]), [*words, *more])

    begins, same = (cell(f"weights={tmp_path / name}.safetensors") for name in ("begin", "same"))
    assert (begins.cell_id, set(begins.changes)) == (same.cell_id, {"recipe.lr", "weights"})
    assert begins.train_id != cell().train_id
    (record,) = run_cells([begins])
    assert record.training["weights"] == file_sha256(tmp_path / "begin.safetensors")
    (best,) = (tmp_path / "trainings" / begins.train_id).rglob("best.ckpt")
    kept = torch.load(best, weights_only=True)["state_dict"]
    assert all(torch.equal(kept[name], value) for name, value in state.items() if name.endswith("weight"))


def test_multirun_is_hydras_own(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    words = [*TINY, f"data.root={drawn}", "detector=scrfd_tiny", "logger=none", "seed=0,1", "pictures=0"]
    done = bench("train", "-m", *words)
    assert done.returncode == 0, done.stderr
    records = read_records(tmp_path / "runs" / "results")
    assert sorted(record.seed for record in records) == [0, 1]
    assert len({record.cell_id for record in records}) == 1
    done = bench("report", "runs/results", "output=board")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "board" / "index.html").is_file()


def test_a_run_is_reproducible(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    """Two runs with one seed, with and without worker processes, give the same losses and the same AP."""
    metrics = []
    for workers in (0, 2):
        words = [*TINY, f"data.root={drawn}", f"paths.results=results{workers}", f"paths.runs=runs{workers}"]
        done = bench(
            "train", *words, f"data.num_workers={workers}", "detector=blazeface_tiny", "logger=none", "pictures=0"
        )
        assert done.returncode == 0, done.stderr
        (record,) = read_records(tmp_path / f"results{workers}")
        metrics.append(record.metrics)
    assert metrics[0] == metrics[1]


def test_wandb_offline_keeps_the_run_under_its_cell(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    done = bench("train", *TINY, f"data.root={drawn}", "detector=scrfd_tiny", "logger=wandb", "pictures=0")
    assert done.returncode == 0, done.stderr
    (record,) = read_records(tmp_path / "runs" / "results")
    assert record.provenance.evaluation is not None
    assert record.provenance.evaluation.wandb_run == f"{record.cell_id}-seed0"
    files = list((tmp_path / "runs").rglob(f"run-{record.cell_id}-seed0.wandb"))
    assert files


def test_a_server_that_cannot_be_reached_stops_nothing(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    words = [
        *TINY,
        f"data.root={drawn}",
        "detector=scrfd_tiny",
        "logger=wandb",
        "logger.mode=online",
        "logger.init_timeout=5",
        "pictures=0",
    ]
    done = bench("train", *words, WANDB_API_KEY="0" * 40, WANDB_BASE_URL="http://127.0.0.1:9", timeout=200)
    assert done.returncode == 0, done.stderr
    assert "not reachable" in done.stderr
    assert [record.status for record in read_records(tmp_path / "runs" / "results")] == ["done"]


def test_the_command_works_from_any_directory(bench: Bench, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "conf", ignore_errors=True)
    done = bench("status", "demo", "format=json")
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert (len(cells), {cell["status"] for cell in cells}) == (24, {"missing"})  # nothing is drawn for a status


def test_overrides_of_cells_are_told_from_those_of_the_grid() -> None:
    words = ["grid=demo", "data.root=/a b", "launcher.max_parallel=2", "+trainer.x='y'", "--config-dir", "c"]
    assert for_every_cell(words) == [
        "grid=demo",
        "launcher.max_parallel=2",
        "--config-dir",
        "c",
        r"cell_overrides=['data.root=/a b','+trainer.x=\'y\'']",
    ]


def test_options_come_after_overrides() -> None:
    assert options_last(["a=1", "--config-dir", "x=y", "b=2", "-m"]) == ["a=1", "b=2", "--config-dir", "x=y", "-m"]
