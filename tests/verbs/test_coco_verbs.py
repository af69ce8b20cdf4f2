"""COCO's layout through the verbs: golden results, what is refused, and one iteration of training."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.config import compose
from bench.errors import ConfigError
from bench.records.record import Record
from bench.run.cells import make_cell
from bench.run.submission import evaluate_predictions, row_name
from bench.run.train import run_cells

Bench = Callable[..., CompletedProcess[str]]
KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def test_golden_results(bench: Bench, shared: Path) -> None:
    annotations = shared / "reference" / "instances_val2014_100.json"
    results = shared / "reference" / "instances_val2014_fakebbox100_results.json"
    done = bench("evaluate", f"predictions={results}", "data=coco", f"data.annotations={annotations}", "format=json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    record = Record.model_validate(one)
    assert (record.dataset.name, record.dataset.images) == ("coco", 100)
    assert round(record.metrics["val/AP"], 3) == 0.505
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        official = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        official.evaluate()
        official.accumulate()
        official.summarize()
    wanted = {f"val/{key}": value for key, value in zip(KEYS, official.stats, strict=True)}
    assert record.metrics == pytest.approx(wanted, abs=1e-9, rel=0)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Four images of 64 x 64 in each split, one dog in the first, one small cat in the second, a crowd in the third."""
    rng = np.random.default_rng(0)
    document: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(1, 5)],
        "categories": [{"id": 3, "name": "dog"}, {"id": 8, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [8, 8, 48, 48]},
            {"id": 2, "image_id": 2, "category_id": 8, "bbox": [20, 20, 12, 12]},
            {"id": 3, "image_id": 3, "category_id": 3, "bbox": [0, 0, 60, 30], "iscrowd": 1},
        ],
    }
    root = tmp_path / "tiny"
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))
        (root / f"{split}2017").mkdir()
        for i in range(1, 5):
            cv2.imwrite(str(root / f"{split}2017" / f"{i}.png"), rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return root


def small(folder: Path, *words: str) -> list[str]:
    sizes = ["detector.augmentation.input_size=64", "detector.recipe.epochs=1", "protocol.resize.size=64"]
    return [
        *words, *sizes, "protocol.pad_to=[64,64]", "data.num_workers=0", "logger=none", "trainer=cpu",
        f"paths.runs={folder / 'runs'}", f"paths.results={folder / 'results'}",
    ]  # fmt: skip


def test_one_iteration_of_training(tiny: Path, tmp_path: Path) -> None:
    """A published face detector learns two classes without a change of code; image ids are numbers throughout."""
    words = small(tmp_path, "detector=scrfd_0.5g", "data=coco", f"data.root={tiny}", "data.classes=[cat,dog]")
    config = compose("_cell", [*words, "detector.recipe.batch_size=4", "pictures=2"])
    assert config.detector.model.num_classes == 2
    (record,) = run_cells([make_cell(config)])
    assert record.status == "done"
    assert {"val/AP", "val/AP50", "train/loss"} <= set(record.metrics)
    assert "val/APl" not in record.metrics  # no such object: undefined, not 0
    assert record.dataset.images == 4
    assert (tmp_path / "results" / "pictures" / "coco").is_dir()


def test_shapes_train_too(tmp_path: Path) -> None:
    words = ["detector=scrfd_tiny", "data=synth_shapes", "data.train_images=4", "data.val_images=2"]
    config = compose("_cell", small(tmp_path, *words, "detector.recipe.batch_size=4", "pictures=1"))
    assert config.detector.model.num_classes == 8
    (record,) = run_cells([make_cell(config)])
    assert (record.status, record.dataset.name, record.dataset.images) == ("done", "synth_shapes", 2)


def test_num_classes_follows_the_classes() -> None:
    for overrides, count in (
        (["data=coco"], 80),
        (["data=coco", "data.classes=[person]"], 1),
        (["data=wider_face"], 1),
    ):
        config = compose("_cell", [*overrides, "data.root=x", "detector=scrfd_0.5g"])
        assert config.detector.model.num_classes == count
    assert config.protocol.name == "wider_vga"
    assert compose("_cell", ["data=coco"]).protocol.name == "coco_val"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty file"),
        ("results", "JSON list"),
        ([{"image_id": 99, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}], "found 99"),
        ([{"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": 1}], "found 4"),
        ([{"image_id": 1, "category_id": 3, "bbox": [0, "b", 1, 1], "score": 1}], "entry 0"),
    ],
    ids=["empty", "letters", "image", "category", "box"],
)
def test_results_that_are_none_are_refused(tiny: Path, tmp_path: Path, content: Any, expected: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    config = compose("evaluate", ["data=coco", f"data.root={tiny}", f"predictions={path}", f"paths.runs={tmp_path}"])
    with pytest.raises(Exception, match=expected) as caught:
        evaluate_predictions(config)
    assert caught.type.user_facing
    assert "broken.json" in str(caught.value)


def test_results_of_some_classes_and_images(tiny: Path, tmp_path: Path) -> None:
    rows = [
        {"image_id": 1, "category_id": 3, "bbox": [8, 8, 48, 48], "score": 0.9},
        {"image_id": 2, "category_id": 8, "bbox": [20, 20, 12, 12], "score": 0.8},
    ]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    words = ["data=coco", f"data.root={tiny}", f"predictions={tmp_path / 'found.json'}", f"paths.runs={tmp_path}"]
    everything = evaluate_predictions(compose("evaluate", words))
    dogs = evaluate_predictions(compose("evaluate", [*words, "data.classes=[dog]"]))
    first = evaluate_predictions(compose("evaluate", [*words, "data.val_images=1"]))
    assert [record.metrics["val/AP"] for record in (everything, dogs, first)] == pytest.approx([1.0] * 3)
    assert ("val/APs" in everything.metrics, "val/APs" in dogs.metrics) == (True, False)
    assert len({record.cell_id for record in (everything, dogs, first)}) == 3
    assert everything.detector == "found"


def test_results_of_coco_are_no_wider_face(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text("[]")
    done = bench("evaluate", "data=synth_faces", f"data.root={drawn}", "data.train_images=16", "data.val_images=8",
                 "predictions=found.json")  # fmt: skip
    assert done.returncode == 1
    assert "data=coco" in done.stderr


def test_a_detector_that_found_nothing_has_a_record(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And its row takes the name of the file in the letters that a name may have."""
    path = tmp_path / "Results (final v2).json"
    path.write_text("[]")
    words = ["data=coco", f"data.root={tiny}", f"paths.runs={tmp_path}"]
    config = compose("evaluate", words)
    config.predictions = str(path)
    with caplog.at_level("INFO"):
        record = evaluate_predictions(config)
    assert (record.detector, record.metrics["val/AP"], record.dataset.images) == ("Results_final_v2", 0.0, 4)
    assert "found nothing in any image" in caplog.text
    assert "the row is named Results_final_v2" in caplog.text


def test_a_name_that_names_no_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    config = compose("evaluate", ["data=coco", "data.root=nowhere", "predictions=none.json"])
    config.name = "My detector, v2"
    with pytest.raises(ConfigError, match="name=My_detector_v2 would do"):
        evaluate_predictions(config)


def test_the_folder_one_is_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert row_name(Path(), None) == "mine"
