"""A training in two processes beside one of the same images an iteration: one start of the command for all tests."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from bench.run.cells import Cell, make_cell
from bench.run.evaluate import Evaluated, evaluate_weights
from bench.run.pictures import save_pictures
from bench.run.statistics import write_statistics
from bench.run.train import run_cells
from bench.run.workspace import Workspace

CONF = Path(__file__).resolve().parents[1] / "conf"
WORDS = [
    *("--config-dir", str(CONF), "detector=normless", "data=synth_faces", "schedule=smoke", "logger=csv", "pictures=8"),
    *("data.train_images=16", "data.val_images=8", "data.num_workers=0", "detector.recipe.epochs=12", "format=json"),
    # 16 images are two iterations of 6 and a rest; 8 are batches of 3, 3 and 2, of which one process has two
    *("detector.recipe.batch_size=3", "data.eval_batch_size=3", "trainer.accelerator=cpu", "trainer.devices=2"),
    "validation.every_n_epochs=6",
    # a detector of two dozen iterations has low scores and poor boxes
    *("protocol.score_threshold=0.0", "protocol.pre_top_k=300", "+protocol.evaluators.wider_face.iou_threshold=0.05"),
]


@dataclass(frozen=True)
class Run:
    cell: Cell
    record: dict[str, Any]

    @property
    def workspace(self) -> Workspace:
        return Workspace.of(self.cell)

    @property
    def picture(self) -> bytes:
        (path,) = Path(self.cell.config["paths"]["results"]).glob("pictures/*/*.jpg")
        return path.read_bytes()

    def losses(self) -> list[dict[str, float]]:
        """The training losses of every epoch."""
        rows = csv.DictReader((self.workspace.root / "csv" / "metrics.csv").open())
        losses = [{key: float(value) for key, value in row.items() if "loss" in key and value} for row in rows]
        return [row for row in losses if row]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """`bench train trainer.devices=2`, three images each, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("two")
    words = [sys.executable, "-m", "bench", "train", *WORDS, f"data.root={drawn}"]
    words += [f"paths.runs={folder / 'runs'}", f"paths.results={folder / 'runs' / 'results'}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def two(command: tuple[Path, subprocess.CompletedProcess[str]]) -> Run:
    folder, done = command
    (config,) = folder.glob("runs/trainings/*/seed0/config.yaml")
    (record,) = json.loads(done.stdout)  # one document: the other process prints nothing
    return Run(make_cell(OmegaConf.create(yaml.safe_load(config.read_text()))), record)


@pytest.fixture(scope="module")
def one(two: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same in this process alone, six images an iteration."""
    config: Any = OmegaConf.create(dict(two.cell.config))
    config.trainer.devices = 1
    config.detector.recipe.batch_size = config.data.batch_size = 6
    runs = tmp_path_factory.mktemp("one") / "runs"
    config.paths.runs, config.paths.results = str(runs), str(runs / "results")
    cell = make_cell(config)
    (record,) = run_cells([cell])
    return Run(cell, record.model_dump(mode="json"))


@pytest.fixture(scope="module")
def evaluated_alone(two: Run) -> Evaluated:
    """The weights of two processes, evaluated by this one."""
    cell = make_cell(OmegaConf.merge(OmegaConf.create(dict(two.cell.config)), {"trainer": {"devices": 1}}))
    return evaluate_weights([cell], two.workspace.best_checkpoint)[1]


def test_losses_are_those_of_one_process(one: Run, two: Run) -> None:
    assert len(two.losses()) == 12
    for alone, together in zip(one.losses(), two.losses(), strict=True):
        assert set(alone) == {"train/loss", "train/loss_cls", "train/loss_bbox", "train/loss_kps"}
        assert together == pytest.approx(alone, rel=1e-3)
    assert one.losses()[0]["train/loss"] > 1.1 * one.losses()[-1]["train/loss"]  # there was something to learn
    trained = {key: value for key, value in two.record["metrics"].items() if key.startswith("train/")}
    assert trained == pytest.approx(two.losses()[-1], rel=1e-6)


def test_metrics_are_those_of_one_process_to_the_last_digit(two: Run, evaluated_alone: Evaluated) -> None:
    found = {key: value for key, value in two.record["metrics"].items() if key.startswith("val/")}
    assert found == {f"val/{key}": value for key, value in evaluated_alone.metrics["nms"].items()}
    assert found["val/AP_hard"] > 0


def test_statistics_of_every_image_are_those_of_one_process(
    two: Run, evaluated_alone: Evaluated, tmp_path: Path
) -> None:
    statistics = evaluated_alone.statistics["nms"]
    assert (statistics["wider_face"]["counts"] > 0).sum() > 4
    assert two.record["statistics"] == write_statistics(tmp_path, statistics)


def test_pictures_show_images_of_both_processes(two: Run, evaluated_alone: Evaluated, tmp_path: Path) -> None:
    config = {**two.cell.config, "paths": {**two.cell.config["paths"], "results": str(tmp_path)}}
    path = save_pictures(make_cell(OmegaConf.create(config)), evaluated_alone.predictions["nms"], evaluated_alone.data)
    assert path is not None
    assert two.picture == path.read_bytes()


def test_one_process_alone_writes(one: Run, two: Run) -> None:
    def files(run: Run) -> list[str]:
        runs = Path(run.cell.config["paths"]["runs"])
        names = (str(path.relative_to(runs)) for path in runs.rglob("*") if path.is_file() and path.name != "lock")
        ids = {run.cell.train_id: "T", f"-{run.cell.cell_id}": "", run.cell.cell_id: "C"}
        named = (re.sub("|".join(ids), lambda found: ids[found[0]], name) for name in names)
        return sorted(re.sub(r"outcomes/.*", "outcomes/RUN", name) for name in named)

    assert files(two) == files(one)
    assert two.workspace.read_status()["status"] == "done"
    assert not two.workspace.is_running()


def test_one_process_alone_speaks(command: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lines = [line for line in command[1].stderr.splitlines() if line and "draw" not in line and " done in " not in line]
    read = "synth_faces train"
    *before, first, second, last = [line.split(":")[0] for line in lines]
    assert before in ([read], [])  # for the identity, unless the set's hash is remembered
    assert [first, second, last] == ["normless seed 0", read, "record"]


def test_identities_count_the_images_of_both(one: Run, two: Run) -> None:
    assert one.record["training"]["effective_batch"] == two.record["training"]["effective_batch"] == 6
    assert one.record["evaluation"] == two.record["evaluation"]
    assert {key: two.record[key] for key in ("status", "cost", "dataset")} == {
        key: one.record[key] for key in ("status", "cost", "dataset")
    }
