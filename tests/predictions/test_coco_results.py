"""COCO's result file: what is read, what is refused, and the way back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import PredictionError
from bench.predictions.coco_results import read_coco_results, write_coco_results

GOOD = {"image_id": 42, "category_id": 18, "bbox": [258.15, 41.29, 348.26, 243.78], "score": 0.236}


def put(folder: Path, content: Any) -> Path:
    path = folder / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path: Path) -> dict[int, dict[str, torch.Tensor]]:
    return read_coco_results(path, images={42, 7}, categories={1, 18, 90}, category_ids=(18, 1))


def test_a_good_file(tmp_path: Path) -> None:
    rows = [GOOD, GOOD | {"score": 1, "category_id": 1}, GOOD | {"category_id": 90, "image_id": 7}]
    found = read(put(tmp_path, rows))
    assert list(found) == [42, 7]
    assert found[42]["scores"].tolist() == [1.0, 0.236]
    assert found[42]["labels"].tolist() == [1, 0]
    assert found[42]["boxes_xywh"].tolist() == [GOOD["bbox"]] * 2  # bit for bit
    assert found[42]["boxes"][0].tolist() == pytest.approx([258.15, 41.29, 606.41, 285.07])
    assert found[7]["boxes"].shape == (0, 4)  # a category that is not evaluated


def test_a_detector_that_found_nothing(tmp_path: Path) -> None:
    assert read(put(tmp_path, "[]")) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found an empty file"),
        (" \n", "found an empty file"),
        ("{}", "found a JSON dict.*annotation file"),
        ("[1, 2", "expected a JSON list of detections, found: "),
        ([GOOD, 5], "entry 1: expected image_id, category_id, bbox, score, found 5"),
        ([{"image_id": 42}], "entry 0: expected image_id, category_id, bbox, score"),
        ([GOOD | {"image_id": 43}], "entry 0: expected an image_id of the annotation file, found 43"),
        ([GOOD, GOOD | {"category_id": 17}], "entry 1: expected a category_id of the annotation file, found 17"),
        ([GOOD | {"image_id": "42"}], "entry 0: expected whole numbers"),
        ([GOOD | {"category_id": 18.5}], "entry 0: expected whole numbers"),
        ([GOOD | {"bbox": [1, 2, "x", 4]}], "entry 0: expected a bbox of four finite numbers"),
        ([GOOD | {"bbox": "1234"}], "entry 0: expected a bbox of four finite numbers"),
        ([GOOD | {"bbox": [1, 2, 3]}], "entry 0: expected a bbox of four finite numbers"),
        ([GOOD | {"bbox": [1, 2, float("nan"), 4]}], "entry 0: expected a bbox of four finite numbers"),
        ([GOOD | {"score": "high"}], "entry 0: .* finite score, .* high"),
        ([GOOD | {"score": None}], "entry 0: .* finite score"),
        ([GOOD | {"bbox": [1, 2, -3, 4]}], "entry 0: .* width and a height of 0 or more"),
    ],
)
def test_a_bad_file_names_file_and_entry(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(PredictionError, match=rf"results\.json.*{message}"):
        read(put(tmp_path, content))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("place", range(5))
def test_what_is_not_finite_names_file_and_entry(tmp_path: Path, place: int, value: str) -> None:
    """In a box or as a score, as Python's json and JavaScript-like writers spell it; the second of two entries."""
    numbers = ["1", "2", "3", "4", "0.5"]
    numbers[place] = value
    broken = f'{{"image_id": 42, "category_id": 18, "bbox": [{", ".join(numbers[:4])}], "score": {numbers[4]}}}'
    told = (
        r"results\.json, entry 1: expected a bbox of four finite numbers x y w h and a finite score, found .*(nan|inf)"
    )
    with pytest.raises(PredictionError, match=told):
        read(put(tmp_path, f"[{json.dumps(GOOD)}, {broken}]"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="nowhere"):
        read(tmp_path / "nowhere.json")
    with pytest.raises(PredictionError, match="found none that can be read"):
        read(tmp_path)


def test_round_trip(tmp_path: Path) -> None:
    written = {
        7: {"boxes": torch.tensor([[1.5, 2.0, 4.25, 6.0]]), "scores": torch.tensor([0.1]), "labels": torch.tensor([1])},
        42: {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.int64)},
    }
    write_coco_results(tmp_path / "new" / "results.json", written, category_ids=(18, 1))
    (row,) = json.loads((tmp_path / "new" / "results.json").read_text())
    assert (row["image_id"], row["category_id"], row["bbox"]) == (7, 1, [1.5, 2.0, 2.75, 4.0])
    found = read(tmp_path / "new" / "results.json")
    assert list(found) == [7]
    assert torch.equal(found[7]["boxes"].float(), written[7]["boxes"])
    assert torch.equal(found[7]["scores"].float(), written[7]["scores"])
    assert torch.equal(found[7]["labels"], written[7]["labels"])
