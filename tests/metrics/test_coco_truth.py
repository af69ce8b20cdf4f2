"""COCO's truth: areas and crowds that are missing or wrong, what its hash tells, and what is kept of every image."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.detectors.candidates import Prediction
from bench.errors import BenchError
from bench.metrics.coco import CocoAP
from bench.metrics.coco_engines import coco_metrics
from bench.metrics.coco_ground_truth import GroundTruthError

Written = Callable[..., Path]
Row = dict[str, Any]


def rows(**first: Any) -> list[Row]:
    """A dog of 40 x 40 and a crowd of them in image 1, a cat in image 2; changes are those of the dog."""
    dog = {"id": 5, "image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}
    return [
        dog | first,
        {"id": 6, "image_id": 1, "category_id": 7, "bbox": [100, 0, 100, 100], "area": 9000, "iscrowd": 1},
        {"id": 8, "image_id": 2, "category_id": 3, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
    ]


def without(key: str, row: Row) -> Row:
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize("dog", [{"area": None}, {"area": 1600.0}, {"iscrowd": None}, {"iscrowd": False}])
def test_null_is_as_good_as_what_follows_from_the_box(dog: Row, two_images: Written) -> None:
    whole = CocoAP(two_images(annotations=rows()))
    found = CocoAP(two_images(annotations=rows(**dog)))
    assert found.ground_truth.annotations == whole.ground_truth.annotations
    missing = CocoAP(two_images(annotations=[without(next(iter(dog)), rows()[0]), *rows()[1:]]))
    assert missing.ground_truth.annotations == whole.ground_truth.annotations
    assert found.ground_truth.content_hash() == missing.ground_truth.content_hash() == whole.ground_truth.content_hash()


@pytest.mark.parametrize(
    ("dog", "message"),
    [
        ({"area": math.nan}, "annotation 5: expected a finite area, found nan"),
        ({"area": math.inf}, "annotation 5: expected a finite area, found inf"),
        ({"area": "1600"}, "annotation 5: expected a finite area, found '1600'"),
        ({"iscrowd": 2}, "annotation 5: expected iscrowd 0 or 1, found 2"),
        ({"iscrowd": "no"}, "annotation 5: expected iscrowd 0 or 1, found 'no'"),
        ({"bbox": [0, 0, math.inf, 1]}, "annotation 5: expected a bbox x y w h of four finite numbers"),
        ({"image_id": "1"}, "expected whole numbers as ids in entry 0 of `annotations`"),
        ({"category_id": 7.0}, "expected whole numbers as ids in entry 0 of `annotations`"),
    ],
)
def test_values_that_are_refused(dog: Row, message: str, two_images: Written) -> None:
    with pytest.raises(GroundTruthError, match=rf"annotations\.json.*{message}"):
        CocoAP(two_images(annotations=rows(**dog)))


def test_ids_that_are_refused(two_images: Written) -> None:
    with pytest.raises(GroundTruthError, match="whole numbers as ids in entry 1 of `images`"):
        CocoAP(two_images(images=[{"id": 1}, {"id": "2"}]))
    with pytest.raises(GroundTruthError, match="whole numbers as ids in entry 0 of `categories`"):
        CocoAP(two_images(categories=[{"id": "7", "name": "dog"}]))


def test_two_categories_of_one_name(two_images: Written) -> None:
    """All of them can be told apart by their ids; by the name, none."""
    path = two_images(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": "dog"}])
    assert CocoAP(path).ground_truth.category_ids == (3, 7)
    with pytest.raises(GroundTruthError, match="each the name of one category, out of dog, dog; found `dog`"):
        CocoAP(path, classes=["dog"])


TWO, NAMES = [{"id": 1}, {"id": 2}], [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": rows(area=1599.5)},
        {"annotations": rows(iscrowd=1)},
        {"annotations": rows(bbox=[10, 10, 40, 41])},
        {"annotations": rows(category_id=3)},
        {"annotations": rows(image_id=2)},
        {"annotations": rows()[1:]},
        {"annotations": [*rows(), rows()[2] | {"id": 9}]},  # one twice
        {"images": [*TWO, {"id": 3}]},  # without objects, it takes false positives
        {"categories": [*NAMES, {"id": 4, "name": "bird"}]},
    ],
)
def test_the_hash_tells_what_is_read(changes: dict[str, Any], two_images: Written) -> None:
    before = CocoAP(two_images(annotations=rows())).ground_truth.content_hash()
    assert CocoAP(two_images(**({"annotations": rows()} | changes))).ground_truth.content_hash() != before
    assert len(before) == 16


def test_the_hash_tells_what_is_evaluated(two_images: Written) -> None:
    path = two_images(annotations=rows())
    chosen: list[dict[str, Any]] = [{}, {"images": [1]}, {"classes": ["dog"]}, {"classes": ["dog", "cat"]}]
    assert len({CocoAP(path, **some).ground_truth.content_hash() for some in chosen}) == 4
    assert (
        CocoAP(path, images=[2, 1]).ground_truth.content_hash()
        == CocoAP(path, engine="pycocotools").ground_truth.content_hash()
    )


def test_the_hash_is_free_of_order_ids_and_place(two_images: Written, tmp_path: Path) -> None:
    before = CocoAP(two_images(annotations=rows())).ground_truth.content_hash()
    others = [row | {"id": 100 - row["id"], "segmentation": []} for row in reversed(rows())]
    changed = two_images(annotations=others, images=TWO[::-1], categories=NAMES[::-1], info={"year": 2017})
    assert CocoAP(changed.rename(tmp_path / "other.json")).ground_truth.content_hash() == before


def test_what_a_data_module_hands_out(two_images: Written) -> None:
    """Its choice of images and classes, unless the protocol has one."""
    path = two_images(annotations=rows())
    truth = {"coco": {"annotations": path, "images": [2], "classes": ("cat",)}, "targets": None}
    found = CocoAP(truth)
    assert found.image_ids == (2,)
    assert found.ground_truth.category_ids == (3,)
    assert found.ground_truth.content_hash() == CocoAP(path, images=[2], classes=["cat"]).ground_truth.content_hash()
    assert CocoAP(truth, images=[1], classes=["dog"]).ground_truth.category_ids == (7,)
    whole = {"coco": {"annotations": path, "images": None, "classes": None}}
    assert CocoAP(whole).ground_truth.content_hash() == CocoAP(path).ground_truth.content_hash()
    with pytest.raises(BenchError, match=r"expected data with COCO's truth .*, found data without; .*wider_vga"):
        CocoAP({"wider_face": {"folder": "somewhere"}})


def test_objects(two_images: Written) -> None:
    boxes, counted = CocoAP(two_images(annotations=rows(), images=[*TWO, {"id": 3}])).objects()
    assert [found.tolist() for found in boxes] == [[[10, 10, 50, 50], [100, 0, 200, 100]], [[0, 0, 10, 10]], []]
    assert [mask.tolist() for mask in counted["all"]] == [[True, False], [True], []]


def detections(*boxes: list[float]) -> Prediction:
    """Dogs x1 y1 x2 y2 with falling scores."""
    count = len(boxes)
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "scores": 1 - torch.arange(count) / 4,
        "labels": torch.ones(count, dtype=torch.int64),
    }


def test_statistics_by_hand(two_images: Written) -> None:
    metric = CocoAP(two_images(annotations=rows()))
    found = detections([10, 10, 50, 50], [0, 0, 3, 4])
    metric.update([detections(), found, found], [{"image_id": 2}, {"image_id": 1}, {"image_id": 1}])  # 1 twice
    statistics = metric.per_image()
    assert statistics["image_ids"] == [1, 2]
    assert statistics["counts"].tolist() == [2, 0]
    assert statistics["boxes"].tolist() == [[10, 10, 40, 40], [0, 0, 3, 4]]
    assert statistics["scores"].tolist() == [1.0, 0.75]
    assert statistics["labels"].tolist() == [1, 1]


def recomputed(metric: CocoAP, images: list[int]) -> dict[str, float]:
    """The twelve numbers of some images, from the statistics and the annotations of these."""
    statistics, truth = metric.per_image(), metric.ground_truth
    image_of = np.repeat(statistics["image_ids"], statistics["counts"])
    found = [
        {"id": i + 1, "image_id": int(image_of[i]), "category_id": truth.category_ids[label], "bbox": box.tolist(),
         "area": float(box[2] * box[3]), "iscrowd": 0, "score": float(score)}
        for i, (box, score, label) in enumerate(
            zip(statistics["boxes"], statistics["scores"], statistics["labels"], strict=True)
        )
        if image_of[i] in images
    ]  # fmt: skip
    objects = [row for row in truth.annotations if row["image_id"] in images]
    return coco_metrics("pycocotools", images, truth.category_ids, objects, found)


def test_metrics_follow_from_the_statistics(shared: Path) -> None:
    """COCO's own example: of all its images, and of some, as an evaluator restricted to them has them."""
    annotations = shared / "reference" / "instances_val2014_100.json"
    whole = CocoAP(annotations)
    predictions = whole.read_predictions(shared / "reference" / "instances_val2014_fakebbox100_results.json")
    whole.update(list(predictions.values()), [{"image_id": image} for image in predictions])
    assert recomputed(whole, list(whole.image_ids)) == pytest.approx(whole.compute(), abs=1e-9, nan_ok=True)
    some = [int(image) for image in whole.image_ids[::3]]
    few = CocoAP(annotations, images=some)
    few.update([predictions[i] for i in some if i in predictions], [{"image_id": i} for i in some if i in predictions])
    assert recomputed(whole, some) == pytest.approx(few.compute(), abs=1e-9, nan_ok=True)
    assert few.compute()["AP"] != whole.compute()["AP"]


def evaluated(annotations: Path) -> tuple[str, Mapping[str, float]]:
    """Hash of the truth, and metrics of the results beside the file."""
    metric = CocoAP(annotations)
    found = metric.read_predictions(annotations.parent / "results.json")
    metric.update(list(found.values()), [{"image_id": image} for image in found])
    return metric.ground_truth.content_hash(), metric.compute()


def test_files_that_differ_in_area_alone(shared: Path) -> None:
    """All seven faces are found. By their areas six are medium and one is large; with areas of 0 all are small."""
    folder = shared / "cases" / "area_not_hashed"
    (true_hash, true), (zero_hash, zero) = (evaluated(folder / name) for name in ("c_ok.json", "c_area0.json"))
    assert true_hash != zero_hash
    assert true["AP"] == zero["AP"] == pytest.approx(1)
    assert [true[key] for key in ("APs", "APm", "APl")] == pytest.approx([math.nan, 1, 1], nan_ok=True)
    assert [zero[key] for key in ("APs", "APm", "APl")] == pytest.approx([1, math.nan, math.nan], nan_ok=True)
    with pytest.raises(GroundTruthError, match=r"c_nan\.json, annotation 1: expected a finite area, found nan"):
        CocoAP(folder / "c_nan.json")


def test_files_with_nulls_and_texts(shared: Path) -> None:
    """Null areas and crowds are those of the file that has them; ids that are text are refused."""
    folder = shared / "cases"
    wanted = evaluated(folder / "area_not_hashed" / "c_ok.json")
    for name in ("c_areanull.json", "c_crowdnull.json"):
        found_hash, found = evaluated(folder / "null_area_iscrowd" / name)
        assert found_hash == wanted[0]
        assert found == pytest.approx(wanted[1], nan_ok=True)
    for name, key in (("c_strid.json", "images"), ("c_strcat.json", "annotations")):
        path = folder / "null_area_iscrowd" / name
        with pytest.raises(GroundTruthError, match=rf"{name}: expected whole numbers as ids in entry 0 of `{key}`"):
            CocoAP(path)
    assert json.loads((folder / "null_area_iscrowd" / "c_areanull.json").read_text())["annotations"][0]["area"] is None
