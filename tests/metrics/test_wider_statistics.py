"""What WIDER FACE's evaluator keeps of every image: AP follows from it, for any choice of images; truth of any form."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.detectors.candidates import Prediction
from bench.errors import BenchError
from bench.metrics.wider_curves import average_precision
from bench.metrics.wider_face import WiderFaceAP

Written = Callable[..., Path]
RandomFaces = Callable[..., tuple[dict[str, Any], dict[str, Any], dict[str, Prediction]]]


def given(metric: WiderFaceAP, predictions: Mapping[str, Prediction], batch: int = 4) -> WiderFaceAP:
    """The predictions of those images that the evaluator looks at, in batches."""
    ids = [image_id for image_id in predictions if image_id in metric.image_ids]
    for begin in range(0, len(ids), batch):
        some = ids[begin : begin + batch]
        metric.update([predictions[i] for i in some], [{"image_id": i} for i in some])
    return metric


def recomputed(metric: WiderFaceAP, images: Sequence[str]) -> dict[str, float]:
    """AP of some images from statistics and objects alone, threshold by threshold as the definition has it."""
    statistics, (boxes, counted) = metric.per_image(), metric.objects()
    cuts = np.cumsum(statistics["counts"])[:-1]
    scores = dict(zip(statistics["image_ids"], np.split(statistics["scores"].astype(np.float64), cuts), strict=True))
    faces = dict(zip(statistics["image_ids"], np.split(statistics["faces"], cuts), strict=True))
    every = np.concatenate([scores[image] for image in images if image in scores])
    low, high = every.min(), every.max()
    found = {}
    for setting, masks in counted.items():
        of_image = dict(zip(metric.image_ids, masks, strict=True))
        with_faces = [image for image in images if image in scores and len(of_image[image])]
        total = sum(int(of_image[image].sum()) for image in images)
        recall, precision = [], []
        for t in range(1, metric.thresholds + 1):
            hits, proposals = set(), 0
            for image in with_faces:
                shown = (scores[image] - low) / (high - low) >= 1 - t / metric.thresholds
                for face in faces[image][shown].tolist():
                    on_counted = face >= 0 and bool(of_image[image][face])
                    proposals += face < 0 or on_counted
                    if on_counted:
                        hits.add((image, face))
            recall.append(len(hits) / total if total else np.nan)
            precision.append(len(hits) / proposals if proposals else np.nan)
        found[f"AP_{setting}"] = average_precision(np.array(recall), np.array(precision))
    assert len(boxes) == len(metric.image_ids)
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ap_follows_from_the_statistics(seed: int, ground_truth: Written, random_faces: RandomFaces) -> None:
    """Of all images, and of some: those, seen alone, give the same to an evaluator restricted to them."""
    faces, counted, predictions = random_faces(seed)
    folder = ground_truth(faces, counted)
    metric = given(WiderFaceAP(folder, thresholds=50), predictions)
    assert recomputed(metric, metric.image_ids) == pytest.approx(metric.compute(), abs=1e-12, nan_ok=True)
    rng = np.random.default_rng(seed)
    for count in (4, 9):
        some = [str(image) for image in rng.choice(list(faces), count, replace=False)]
        fresh = given(WiderFaceAP(folder, images=some, thresholds=50), predictions)
        assert recomputed(metric, some) == pytest.approx(fresh.compute(), abs=1e-12, nan_ok=True)
        assert 0 < fresh.compute()["AP_hard"] < 1


A, B, C = "0--Parade/a", "0--Parade/b", "1--Handshaking/c"
FACES = {A: [[10, 10, 20, 20], [50, 10, 20, 20]], B: [], C: [[5, 5, 8, 8]]}  # x y w h
CORNERS = [np.array([[10, 10, 30, 30], [50, 10, 70, 30]]), np.zeros((0, 4)), np.array([[5, 5, 13, 13]])]


def test_statistics_by_hand(ground_truth: Written) -> None:
    """Images in the truth's order, whichever came first; scores as they are, faces from 0 in their own image."""
    metric = WiderFaceAP(ground_truth(FACES))
    boxes = torch.tensor([[50.0, 10, 70, 30], [200, 200, 210, 210], [10, 10, 30, 30]])
    found = {"boxes": boxes, "scores": torch.tensor([0.25, 0.75, 0.5])}
    nothing = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
    metric.update([{"boxes": torch.tensor([[5.0, 5, 13, 13]]), "scores": torch.tensor([1.0])}], [{"image_id": C}])
    metric.update([nothing, found], [{"image_id": B}, {"image_id": A}])
    statistics = metric.per_image()
    assert statistics["image_ids"] == [A, B, C]
    assert statistics["counts"].tolist() == [3, 0, 1]
    assert statistics["scores"].tolist() == [0.25, 0.75, 0.5, 1.0]
    assert statistics["faces"].tolist() == [1, -1, 0, 0]


def test_an_image_given_twice_is_kept_once(ground_truth: Written) -> None:
    """The first time counts, as in the metrics."""
    metric = WiderFaceAP(ground_truth(FACES))
    for x, score in ((5.0, 0.5), (50.0, 0.9), (6.0, 0.7)):
        boxes = torch.tensor([[x, 5, x + 8, 13], [90, 90, 99, 99]])
        found = {"boxes": boxes, "scores": torch.tensor([score, 0.25])}
        metric.update([found], [{"image_id": C}])
    metric.update([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}], [{"image_id": B}])
    statistics = metric.per_image()
    assert statistics["image_ids"] == [B, C]
    assert statistics["counts"].tolist() == [0, 2]
    assert statistics["scores"].tolist() == [0.5, 0.25]
    assert statistics["faces"].tolist() == [0, -1]
    assert recomputed(metric, metric.image_ids) == pytest.approx(metric.compute(), abs=1e-12)


def test_statistics_of_nothing(ground_truth: Written) -> None:
    statistics = WiderFaceAP(ground_truth(FACES)).per_image()
    assert statistics["image_ids"] == []
    assert {name: statistics[name].shape for name in ("counts", "scores", "faces")} == dict.fromkeys(
        ("counts", "scores", "faces"), (0,)
    )


def test_objects(ground_truth: Written) -> None:
    boxes, counted = WiderFaceAP(ground_truth(FACES, {"easy": {A: [2]}})).objects()
    assert [found.tolist() for found in boxes] == [corners.tolist() for corners in CORNERS]
    assert [mask.tolist() for mask in counted["easy"]] == [[False, True], [], [False]]
    assert [mask.tolist() for mask in counted["hard"]] == [[True, True], [], [True]]


def as_arrays(faces: Mapping[str, Any], counted: Mapping[str, Any]) -> dict[str, Any]:
    """What a data module without .mat files hands out."""
    xywh = [np.array(boxes, np.float64).reshape(-1, 4) for boxes in faces.values()]
    masks = {
        setting: [np.isin(np.arange(1, len(faces[i]) + 1), chosen.get(i, [])) for i in faces]
        for setting, chosen in counted.items()
    }
    corners = [np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) for boxes in xywh]
    return {"wider_face": {"image_ids": list(faces), "boxes": corners, "counted": masks}, "targets": None}


@pytest.mark.parametrize("seed", [0, 3])
def test_arrays_equal_files(seed: int, ground_truth: Written, random_faces: RandomFaces) -> None:
    """The same faces from .mat files and as arrays: hash, numbers and statistics."""
    faces, counted, predictions = random_faces(seed)
    files = given(WiderFaceAP(ground_truth(faces, counted)), predictions)
    arrays = given(WiderFaceAP(as_arrays(faces, counted)), predictions)
    assert arrays.ground_truth.content_hash() == files.ground_truth.content_hash()
    assert arrays.compute() == files.compute()
    for name, values in files.per_image().items():
        assert np.array_equal(arrays.per_image()[name], values)


def test_settings_of_the_arrays_name_the_metrics() -> None:
    """As for a split without easy, medium and hard; images in another order, single precision."""
    form = as_arrays(FACES, {"all": {A: [1, 2], C: [1]}})
    metric = WiderFaceAP(form)
    assert metric.image_ids == (A, B, C)
    assert metric.compute() == {"AP_all": 0.0}
    form["wider_face"]["boxes"] = [boxes.astype(np.float32) for boxes in form["wider_face"]["boxes"]]
    assert WiderFaceAP(form).ground_truth.content_hash() == metric.ground_truth.content_hash()


def test_a_folder_with_a_choice_of_images(ground_truth: Written) -> None:
    """As a data module hands it out; images asked for by the protocol come first."""
    folder = ground_truth(FACES)
    chosen = WiderFaceAP({"wider_face": {"folder": folder, "images": [C, A]}})
    assert chosen.image_ids == (C, A)
    assert chosen.ground_truth.content_hash() == WiderFaceAP(folder, images=[A, C]).ground_truth.content_hash()
    assert WiderFaceAP({"wider_face": {"folder": folder, "images": None}}).image_ids == (A, B, C)
    assert WiderFaceAP({"wider_face": {"folder": folder, "images": [C, A]}}, images=[B]).image_ids == (B,)


def test_data_without_faces() -> None:
    with pytest.raises(BenchError, match=r"expected data with WIDER FACE's truth .*found data without; .*coco_val"):
        WiderFaceAP({"coco": {"annotations": "file.json"}, "targets": None})


def test_the_hash_is_of_the_truth_alone(ground_truth: Written, tmp_path: Path) -> None:
    """Not of predictions, of the path, or of how it is evaluated; a face that counts otherwise shows."""
    folder = ground_truth(FACES, {"easy": {A: [2]}})
    metric = WiderFaceAP(folder)
    before = metric.ground_truth.content_hash()
    metric.update([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}], [{"image_id": A}])
    shutil.copytree(folder, tmp_path / "copy")
    assert before == metric.ground_truth.content_hash() == WiderFaceAP(tmp_path / "copy").ground_truth.content_hash()
    assert WiderFaceAP(str(folder), iou_threshold=0.4, thresholds=10).ground_truth.content_hash() == before
    assert WiderFaceAP(ground_truth(FACES, {"easy": {A: [1]}})).ground_truth.content_hash() != before
    assert (
        WiderFaceAP(ground_truth({**FACES, C: [[5, 5, 8, 9]]}, {"easy": {A: [2]}})).ground_truth.content_hash()
        != before
    )
    assert WiderFaceAP(folder).ground_truth.content_hash() != before  # the files were written anew


def test_statistics_and_hash_of_the_official_files(shared: Path) -> None:
    """The restriction of the official truth to its first five images is another truth of the same faces."""
    folder = shared / "data" / "wider_face" / "eval_tools" / "ground_truth"
    whole = WiderFaceAP(folder)
    few = WiderFaceAP(folder, images=whole.image_ids[:5])
    assert whole.ground_truth.content_hash() != few.ground_truth.content_hash()
    boxes, counted = few.objects()
    every, every_counted = whole.objects()
    assert all(np.array_equal(one, other) for one, other in zip(boxes, every[:5], strict=True))
    assert [mask.sum() for mask in counted["hard"]] == [mask.sum() for mask in every_counted["hard"][:5]]
    assert sum(len(faces) for faces in every) == 39708


def test_predictions_are_read_in_the_evaluations_own_format(ground_truth: Written, tmp_path: Path) -> None:
    metric = WiderFaceAP(ground_truth(FACES))
    file = tmp_path / "submitted" / f"{C}.txt"
    file.parent.mkdir(parents=True)
    file.write_text("c\n1\n5 5 8 8 0.5\n")
    found = metric.read_predictions(tmp_path / "submitted")
    assert list(found) == [C]
    assert given(metric, dict(found)).per_image()["faces"].tolist() == [0]
