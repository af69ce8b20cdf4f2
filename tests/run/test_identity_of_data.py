"""The identity of what is really read: other images, annotations or lists under one name are another dataset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from scipy.io import loadmat, savemat

from bench.config import compose
from bench.run.cells import Cell, make_cell, weights_cell
from bench.run.submission import evaluate_predictions
from data_modules.errors import DataError


@pytest.fixture
def layout(shared: Path, tmp_path: Path) -> Path:
    """A copy of a tiny set in WIDER FACE's layout."""
    return Path(shutil.copytree(shared / "cases" / "other_root_same_cell" / "root_a", tmp_path / "root"))


def cell_of(root: Path, *more: str) -> Cell:
    words = ["detector=scrfd_tiny", "data=wider_face", f"data.root={root}", *more]
    return make_cell(compose("_cell", words), words)


def test_another_path_is_no_other_dataset(layout: Path, tmp_path: Path) -> None:
    before = cell_of(layout)
    layout.rename(tmp_path / "elsewhere")
    after = cell_of(tmp_path / "elsewhere")
    assert (after.train_id, after.cell_id, after.changes) == (before.train_id, before.cell_id, before.changes)


def test_two_folders_of_one_layout_are_two_datasets(shared: Path) -> None:
    first, second = (cell_of(shared / "cases" / "other_root_same_cell" / name) for name in ("root_a", "root_b"))
    assert first.train_id != second.train_id
    assert first.cell_id != second.cell_id
    assert first.changes == second.changes == {}


def edit_train_box(root: Path) -> None:
    path = root / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    lines = path.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if len(line.split()) == 10)
    lines[row] = " ".join([str(int(lines[row].split()[0]) + 1), *lines[row].split()[1:]])
    path.write_text("\n".join(lines) + "\n")


def edit_train_image(root: Path) -> None:
    path = sorted((root / "WIDER_train").rglob("*.jpg"))[0]
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("edit", [edit_train_box, edit_train_image])
def test_training_data_is_part_of_the_training(layout: Path, edit: Callable[[Path], None]) -> None:
    before = cell_of(layout)
    edit(layout)
    after = cell_of(layout)
    assert after.train_id != before.train_id
    assert after.evaluation == before.evaluation


def test_a_list_of_the_evaluation_is_part_of_the_cell(layout: Path) -> None:
    before = cell_of(layout)
    path = layout / "eval_tools" / "ground_truth" / "wider_hard_val.mat"
    content = loadmat(path)
    lists = content["gt_list"]
    inner = lists[0, 0][0, 0]
    lists[0, 0][0, 0] = inner[:-1]  # one face of the first image counts no more
    savemat(path, {"gt_list": lists})
    after = cell_of(layout)
    assert after.cell_id != before.cell_id
    assert after.evaluation["data"]["annotation_hash"] != before.evaluation["data"]["annotation_hash"]
    assert after.training["data"] == before.training["data"]


def test_areas_of_coco_are_part_of_the_cell(shared: Path, tmp_path: Path) -> None:
    case = shared / "cases" / "area_not_hashed"
    records = []
    for name in ("c_ok", "c_area0"):
        words = ["data=coco", f"data.annotations={case / name}.json", "data.num_classes=null", f"paths.runs={tmp_path}"]
        config = compose("evaluate", [*words, f"predictions={case / 'results.json'}"])
        records.append(evaluate_predictions(config))
    assert records[0].dataset.annotation_hash != records[1].dataset.annotation_hash
    assert records[0].cell_id != records[1].cell_id
    broken = json.loads((case / "c_nan.json").read_text())
    assert any(entry["area"] != entry["area"] for entry in broken["annotations"])
    words = ["data=coco", f"data.annotations={case / 'c_nan.json'}", f"predictions={case / 'results.json'}"]
    with pytest.raises(Exception, match="expected a finite area, found nan"):
        evaluate_predictions(compose("evaluate", [*words, "data.num_classes=null"]))


def test_missing_data_is_noticed_before_anything(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        cell_of(tmp_path / "nowhere")


def test_weights_of_a_file_are_told_by_their_content(layout: Path) -> None:
    words = ["detector=scrfd_tiny", "data=wider_face", f"data.root={layout}"]
    config = compose("evaluate", words)
    one, other = weights_cell(config, "a" * 64, words), weights_cell(config, "b" * 64, words)
    assert one.train_id != other.train_id
    assert one.training == {"model": one.training["model"], "weights": "a" * 64}
    changed = OmegaConf.merge(config, {"protocol": {"score_threshold": 0.5}})
    again = weights_cell(changed, "a" * 64, [*words, "protocol.score_threshold=0.5"])  # type: ignore[arg-type]
    assert again.train_id == one.train_id
    assert again.cell_id != one.cell_id
