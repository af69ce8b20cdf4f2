"""COCO's evaluation: both engines against pycocotools itself, crowds, restrictions, states, and what is refused."""

import contextlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.errors import BenchError, ConfigError, PredictionError
from bench.metrics.coco import CocoAP
from bench.metrics.coco_engines import Engine
from bench.metrics.coco_ground_truth import GroundTruthError
from bench.predictions.coco_results import read_coco_results

KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
ENGINES: tuple[Engine, ...] = ("faster", "pycocotools")


def official(annotations: Path, results: Path) -> dict[str, float]:
    """pycocotools as its own demo calls it."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {key: math.nan if value == -1 else value for key, value in zip(KEYS, evaluation.stats, strict=True)}


def random_case(folder: Path, seed: int, crowds: bool = True) -> tuple[Path, Path]:
    """Annotations and results with gaps in the ids, crowds, tied scores, repeated boxes and images without objects."""
    rng = np.random.default_rng(seed)
    images, categories = [3, 11, 4, 25, 7, 90, 41, 17], [1, 5, 12, 70]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in images[:-1]:
        for _ in range(rng.integers(0, 14)):
            size = np.exp(rng.uniform(np.log(6), np.log(300), 2))
            box = [round(float(v), 2) for v in (*rng.uniform(0, 400, 2), *size)]
            category = int(rng.choice(categories))
            annotations.append({
                "id": len(annotations) + 101, "image_id": image, "category_id": category, "bbox": box,
                "area": box[2] * box[3] * float(rng.uniform(0.5, 1)), "iscrowd": int(crowds and rng.random() < 0.2),
            })  # fmt: skip
            for _ in range(rng.integers(0, 4)):
                moved = [round(float(v), 2) for v in np.array(box) + rng.normal(0, 0.06, 4) * box[2]]
                moved[2:] = [max(v, 0.5) for v in moved[2:]]
                guess = int(rng.choice([category, category, category, rng.choice(categories)]))
                results.append({"image_id": image, "category_id": guess, "bbox": moved})
    for image in images:
        for _ in range(4):
            box = [round(float(v), 2) for v in (*rng.uniform(0, 400, 2), *rng.uniform(4, 200, 2))]
            results.append({"image_id": image, "category_id": int(rng.choice(categories)), "bbox": box})
    for result in results:
        result["score"] = round(float(rng.random()), 1 + int(rng.integers(0, 3)))  # ties among the short ones
    document = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": category, "name": f"c{category}"} for category in categories],
        "annotations": annotations,
    }
    paths = folder / "annotations.json", folder / "results.json"
    for path, content in zip(paths, (document, results), strict=True):
        path.write_text(json.dumps(content))
    return paths


def from_files(metric: CocoAP, results: Path) -> dict[str, float]:
    truth = metric.ground_truth
    found = read_coco_results(results, truth.known_images, truth.known_categories, truth.category_ids)
    chosen = {image_id: one for image_id, one in found.items() if image_id in truth.image_ids}
    metric.update(list(chosen.values()), [{"image_id": image_id} for image_id in chosen])
    return metric.compute()


def assert_equal(found: dict[str, float], wanted: dict[str, float]) -> None:
    assert tuple(found) == KEYS
    assert found == pytest.approx(wanted, abs=1e-9, rel=0, nan_ok=True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("crowds", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_random_data_equals_pycocotools(tmp_path: Path, engine: Engine, crowds: bool, seed: int) -> None:
    annotations, results = random_case(tmp_path, seed, crowds)
    wanted = official(annotations, results)
    assert 0.05 < wanted["AP"] < 0.95
    assert_equal(from_files(CocoAP(annotations, engine=engine), results), wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_golden_results(shared: Path, engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    annotations = shared / "reference" / "instances_val2014_100.json"
    results = shared / "reference" / "instances_val2014_fakebbox100_results.json"
    found = from_files(CocoAP(annotations, engine=engine), results)
    assert capfd.readouterr().out == ""
    assert round(found["AP"], 3) == 0.505
    assert_equal(found, official(annotations, results))


@pytest.mark.parametrize("engine", ENGINES)
def test_real_annotations_with_crowds(shared: Path, tmp_path: Path, engine: Engine) -> None:
    annotations = shared / "data" / "coco" / "annotations" / "instances_val2017.json"
    rng = np.random.default_rng(0)
    results = []
    for entry in json.loads(annotations.read_text())["annotations"]:
        for _ in range(6 if entry["iscrowd"] else 2):
            box = (np.array(entry["bbox"]) + rng.normal(0, 0.05, 4) * entry["bbox"][2]).clip(0.5).round(1)
            row = {key: entry[key] for key in ("image_id", "category_id")}
            results.append(row | {"bbox": box.tolist(), "score": round(float(rng.random()), 2)})
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    assert_equal(from_files(CocoAP(annotations, engine=engine), path), official(annotations, path))


def prediction(boxes: list[list[float]], scores: list[float], labels: list[int]) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "scores": torch.tensor(scores),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


DOG = prediction([[110, 10, 130, 30], [120, 10, 140, 30], [10, 10, 50, 50]], [0.9, 0.8, 0.7], [1, 1, 1])
CAT = prediction([[0, 0, 10, 10]], [0.6], [0])


@pytest.mark.parametrize("engine", ENGINES)
def test_by_hand(two_images: Callable[..., Path], engine: Engine) -> None:
    """Two detections in the crowd count neither way; the dog (id 0, which pycocotools would miss) is found."""
    metric = CocoAP(two_images(), engine=engine)
    assert metric.ground_truth.category_ids == (3, 7)
    metric.update([DOG, CAT], [{"image_id": 1}, {"image_id": 2}])
    found = metric.compute()
    assert found["AP"] == pytest.approx(1)
    assert found["AR1"] == pytest.approx(1 / 2)  # the first of the dogs lies in the crowd
    assert (found["APs"], found["APm"]) == (pytest.approx(1), pytest.approx(1))  # by width x height
    assert math.isnan(found["APl"])
    assert math.isnan(found["ARl"])


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_found(two_images: Callable[..., Path], engine: Engine) -> None:
    metric = CocoAP(two_images(), engine=engine)
    assert metric.compute()["AP"] == 0
    metric.update([prediction([], [], [])], [{"image_id": 1}])
    assert metric.compute()["AP"] == 0
    alone = CocoAP(two_images(annotations=[]), engine=engine)
    alone.update([DOG], [{"image_id": 1}])
    assert all(math.isnan(value) for value in alone.compute().values())


def test_restrictions(two_images: Callable[..., Path]) -> None:
    dogs = CocoAP(two_images(), classes=["dog"])
    dogs.update([DOG | {"labels": torch.zeros(3, dtype=torch.int64)}], [{"image_id": 1}])
    assert dogs.compute()["AP"] == pytest.approx(1)
    assert CocoAP(two_images(), classes=["dog", "cat"]).ground_truth.category_ids == (7, 3)
    cats = CocoAP(two_images(), images=[2])
    cats.update([CAT], [{"image_id": 2}])
    assert cats.compute()["AP"] == pytest.approx(1)
    assert cats.image_ids == (2,)


def test_order_batches_and_repeats_do_not_matter(tmp_path: Path) -> None:
    annotations, results = random_case(tmp_path, 0)
    wanted = from_files(CocoAP(annotations), results)
    metric = CocoAP(annotations)
    truth = metric.ground_truth
    found = read_coco_results(results, truth.known_images, truth.known_categories, truth.category_ids)
    for image_id in [*reversed(found), next(iter(found))]:
        metric.update([found[image_id]], [{"image_id": image_id}])
    assert metric.compute() == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    metric.reset()
    assert metric.compute()["AP"] == 0


def test_two_processes_are_joined(two_images: Callable[..., Path]) -> None:
    """As torchmetrics joins them: states gathered in lists, then concatenated; the second process saw nothing."""
    metric, idle = CocoAP(two_images()), CocoAP(two_images())
    metric.update([DOG, CAT], [{"image_id": 1}, {"image_id": 2}])
    empty = {name: torch.zeros((0, *shape), dtype=kind) for name, (kind, shape) in CocoAP.states.items()}
    gathered = iter([getattr(metric, name)[0], empty[name]] for name in CocoAP.states)
    idle.sync(dist_sync_fn=lambda state, group: next(gathered), distributed_available=lambda: True)
    assert [one["image_id"] for one in idle._detections()] == [1, 1, 1, 2]
    assert [one["category_id"] for one in idle._detections()] == [7, 7, 7, 3]


@pytest.mark.parametrize(
    ("changes", "image_id", "message"),
    [
        ({}, 9, "one of the 2 images evaluated.*found 9"),
        ({"labels": torch.tensor([1, 2, 1])}, 1, r"labels 0\.\.1, found 1\.\.2"),
        ({"scores": torch.tensor([1.0, math.nan, 0.5])}, 1, "finite"),
        ({"scores": torch.tensor([1.0])}, 1, "shape|found"),
    ],
)
def test_bad_predictions(
    two_images: Callable[..., Path], changes: dict[str, torch.Tensor], image_id: int, message: str
) -> None:
    with pytest.raises(PredictionError, match=message):
        CocoAP(two_images()).update([DOG | changes], [{"image_id": image_id}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": None}, "list `annotations`"),
        ({"annotations": [{"id": 5}]}, "image_id, category_id, bbox in entry 0"),
        (
            {"annotations": [{"id": 5, "image_id": 1, "category_id": 8, "bbox": [0, 0, 1, 1]}]},
            "annotation 5: expected the category_id of a category of this file, found 8",
        ),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 7, "bbox": [0, 0, 1, 1]}]},
            "annotation 5: expected the image_id of an image of this file, found 9",
        ),
        ({"annotations": [{"id": 5, "image_id": 1, "category_id": 7, "bbox": [0, 0, -1, 1]}]}, "annotation 5"),
        ({"annotations": [{"id": 5, "image_id": 1, "category_id": 7, "bbox": [0, 0, math.nan, 1]}]}, "annotation 5"),
    ],
)
def test_bad_annotations(two_images: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GroundTruthError, match=message):
        CocoAP(two_images(**changes))


def test_bad_choices(two_images: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match="image 5"):
        CocoAP(two_images(), images=[1, 5])
    with pytest.raises(GroundTruthError, match="`bird`"):
        CocoAP(two_images(), classes=["bird"])
    for none_or_twice in ([], ["dog", "dog"]):
        with pytest.raises(GroundTruthError, match=r"each once and each the name of one category, out of dog, cat;"):
            CocoAP(two_images(), classes=none_or_twice)
    with pytest.raises(ConfigError, match="engine=fast"):
        CocoAP(two_images(), engine="fast")  # type: ignore[arg-type]
    (tmp_path / "letters.json").write_text("no json")
    for name in ("letters.json", "nowhere.json"):
        with pytest.raises(BenchError, match=name):
            CocoAP(tmp_path / name)
