"""Conformance tests of the WIDER FACE evaluation, by hand, against plain loops, and against a published result."""

import copy
import logging
import math
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from bench.detectors.candidates import Prediction
from bench.errors import PredictionError
from bench.metrics.wider_face import WiderFaceAP
from bench.metrics.wider_ground_truth import GroundTruthError
from bench.predictions.wider_text import read_wider_predictions

Written = Callable[..., Path]
RandomFaces = Callable[..., tuple[dict[str, Any], dict[str, Any], dict[str, Prediction]]]

A, B, C = "0--Parade/a", "0--Parade/b", "1--Handshaking/c"
FACES: dict[str, list[list[float]]] = {
    A: [[10, 10, 20, 20], [50, 10, 20, 20]],
    B: [[10, 10, 30, 30]],
    C: [[5, 5, 8, 8]],
}
KEYS = ("AP_easy", "AP_medium", "AP_hard")


def prediction(*rows: Sequence[float]) -> Prediction:
    """Rows x, y, w, h, score."""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return {"boxes": torch.cat([values[:, :2], values[:, :2] + values[:, 2:4]], dim=1), "scores": values[:, 4]}


def update(metric: WiderFaceAP, predictions: Mapping[str, Prediction]) -> WiderFaceAP:
    metric.update(list(predictions.values()), [{"image_id": image_id} for image_id in predictions])
    return metric


def perfect() -> dict[str, Prediction]:
    # Distinct scores: with equal ones everywhere there is no minimum to stretch from.
    return {i: prediction(*([*box, 0.9 - 0.01 * n] for n, box in enumerate(boxes))) for i, boxes in FACES.items()}


def evaluate(folder: Path, predictions: Mapping[str, Prediction], **options: Any) -> dict[str, float]:
    return update(WiderFaceAP(folder, **options), predictions).compute()


def test_perfect_predictions(ground_truth: Written) -> None:
    folder = ground_truth(FACES, {"easy": {B: [1]}, "medium": {A: [2], B: [1]}})
    assert evaluate(folder, perfect()) == dict.fromkeys(KEYS, 1.0)


def test_no_predictions(ground_truth: Written, caplog: pytest.LogCaptureFixture) -> None:
    folder = ground_truth(FACES)
    assert evaluate(folder, {i: prediction() for i in FACES}) == dict.fromkeys(KEYS, 0.0)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert update(WiderFaceAP(folder), {}).compute() == dict.fromkeys(KEYS, 0.0)
    assert "4 of 4 images" not in caplog.text
    assert "3 of 3 images have no predictions" in caplog.text


def test_duplicate_is_a_false_positive(ground_truth: Written) -> None:
    # Face 1, face 1 again, face 2: recall .5 .5 1 with precision 1 1/2 2/3, so the area is .5 * 1 + .5 * 2/3.
    folder = ground_truth({A: FACES[A]})
    found = {A: prediction([10, 10, 20, 20, 1.0], [11, 10, 20, 20, 0.5], [50, 10, 20, 20, 0.0])}
    assert evaluate(folder, found)["AP_hard"] == pytest.approx(5 / 6)


def test_detection_of_an_ignored_face_changes_nothing(ground_truth: Written) -> None:
    folder = ground_truth({A: FACES[A]}, {"hard": {A: [1]}})
    rows = [[10, 10, 20, 20, 0.5], [100, 100, 20, 20, 0.9], [200, 100, 20, 20, 0.1]]
    without = evaluate(folder, {A: prediction(*rows)})
    for score in (0.9, 0.5, 0.3, 0.1):
        found = {A: prediction(*rows, [50, 10, 20, 20, score], [51, 10, 20, 20, score])}
        assert evaluate(folder, found)["AP_hard"] == without["AP_hard"] == pytest.approx(1 / 2)
        assert evaluate(folder, found)["AP_easy"] != without["AP_easy"]


def test_nothing_proposed_at_high_thresholds(ground_truth: Written) -> None:
    # The most confident detections are of ignored faces only: precision 0 / 0 until the counted face comes in.
    folder = ground_truth({A: FACES[A]}, {"hard": {A: [1]}})
    metric = update(WiderFaceAP(folder), {A: prediction([50, 10, 20, 20, 1.0], [10, 10, 20, 20, 0.5], [0, 0, 1, 1, 0])})
    recall, precision = metric.curves()["hard"]
    assert recall.shape == precision.shape == (1000,)
    assert np.isnan(precision[0])
    assert metric.compute()["AP_hard"] == 1.0


def test_ignored_face_overlapped_most_hides_the_counted_one(ground_truth: Written) -> None:
    folder = ground_truth({A: [[10, 10, 20, 20], [10, 10, 20, 20]]}, {"hard": {A: [2]}})
    assert evaluate(folder, {A: prediction([10, 10, 20, 20, 0.9])})["AP_hard"] == 0.0


def test_shuffled_is_sorted(ground_truth: Written, random_faces: RandomFaces) -> None:
    faces, counted, found = random_faces(3)
    rng = np.random.default_rng(0)
    folder = ground_truth(faces, counted)
    shuffled = {}
    for image_id in rng.permutation(list(found)):
        order = rng.permutation(len(found[image_id]["scores"]))
        shuffled[image_id] = {name: value[order] for name, value in found[image_id].items()}
    metric = WiderFaceAP(folder)
    for image_id, one in shuffled.items():
        update(metric, {image_id: one})
    assert metric.compute() == evaluate(folder, found)


def test_one_score_only(ground_truth: Written) -> None:
    # All equal: one point, recall 1/2 with precision 1/2.
    folder = ground_truth({A: FACES[A]})
    for score in (0.0, 0.3, 1.0):
        found = {A: prediction([10, 10, 20, 20, score], [100, 10, 20, 20, score])}
        assert evaluate(folder, found) == dict.fromkeys(KEYS, 0.25)


def test_iou_counts_pixels(ground_truth: Written) -> None:
    folder = ground_truth({A: [[0, 0, 9, 9]]})
    assert evaluate(folder, {A: prediction([0, 0, 9, 4, 0.9])})["AP_hard"] == 1.0
    assert evaluate(folder, {A: prediction([0, 0, 9, 3.9, 0.9])})["AP_hard"] == 0.0
    assert evaluate(folder, {A: prediction([0, 0, 9, 3.9, 0.9])}, iou_threshold=0.4)["AP_hard"] == 1.0


def test_images_without_counted_or_listed_faces(ground_truth: Written) -> None:
    # b lists a face that does not count: its false positive counts. c lists none: its false positive does not.
    folder = ground_truth({A: FACES[A][:1], B: FACES[B], C: []}, {"hard": {A: [1]}})
    found = {A: prediction([10, 10, 20, 20, 0.1]), C: prediction([0, 0, 5, 5, 0.9])}
    assert evaluate(folder, found)["AP_hard"] == 1.0
    found[B] = prediction([200, 200, 5, 5, 0.9])
    assert evaluate(folder, found)["AP_hard"] == 0.5


def test_scores_are_stretched_over_all_images_evaluated(ground_truth: Written) -> None:
    # With two thresholds (.5 and 0) the false positive shares the true one's bin only once an outlier is there.
    folder = ground_truth({A: FACES[A][:1], B: FACES[B], C: []}, {"hard": {A: [1]}})
    found = {A: prediction([10, 10, 20, 20, 0.8], [100, 100, 20, 20, 0.0]), C: prediction([0, 0, 5, 5, 0.1])}
    assert evaluate(folder, found, thresholds=2)["AP_hard"] == 1.0
    found[C] = prediction([0, 0, 5, 5, 2.0])
    assert evaluate(folder, found, thresholds=2)["AP_hard"] == 0.5


def test_subset_counts_its_own_faces_only(ground_truth: Written) -> None:
    folder = ground_truth(FACES)
    found = {A: perfect()[A]}
    assert evaluate(folder, found)["AP_hard"] == pytest.approx(2 / 4)
    metric = WiderFaceAP(folder, images=[C, A])
    assert metric.image_ids == (C, A)
    assert update(metric, found).compute()["AP_hard"] == pytest.approx(2 / 3)
    with pytest.raises(PredictionError, match=r"one of the 2 images evaluated, .*'0--Parade/b'"):
        update(metric, {B: prediction()})
    with pytest.raises(GroundTruthError, match="unknown"):
        WiderFaceAP(folder, images=["0--Parade/nobody"])


def test_setting_without_a_counted_face_is_undefined(ground_truth: Written, caplog: pytest.LogCaptureFixture) -> None:
    result = evaluate(ground_truth(FACES, {"easy": {}}), perfect())
    assert math.isnan(result["AP_easy"])
    assert result["AP_hard"] == 1.0
    assert "no face counts as easy" in caplog.text


def test_image_given_twice_counts_once(ground_truth: Written) -> None:
    folder = ground_truth(FACES)
    metric = update(update(WiderFaceAP(folder), perfect()), {B: prediction([0, 0, 3, 3, 0.99])})
    metric.update([perfect()[A]] * 2, [{"image_id": A}] * 2)
    assert metric.compute() == dict.fromkeys(KEYS, 1.0)


def test_reset_and_copy(ground_truth: Written) -> None:
    metric = update(WiderFaceAP(ground_truth(FACES)), perfect())
    twin = copy.deepcopy(metric)
    metric.reset()
    assert update(metric, {B: prediction()}).compute()["AP_hard"] == 0.0
    assert twin.compute()["AP_hard"] == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite(ground_truth: Written, bad: float) -> None:
    metric = WiderFaceAP(ground_truth(FACES))
    with pytest.raises(PredictionError, match=r"0--Parade/b: expected finite"):
        update(metric, {A: perfect()[A], B: prediction([10, 10, 30, 30, bad])})
    with pytest.raises(PredictionError, match=r"0--Parade/b: expected finite"):
        update(metric, {B: prediction([10, 10, bad, 30, 0.5])})
    assert update(metric, perfect()).compute()["AP_hard"] == 1.0  # nothing of the refused batch was kept


def test_shapes_that_do_not_fit(ground_truth: Written) -> None:
    metric = WiderFaceAP(ground_truth(FACES))
    with pytest.raises(PredictionError, match=r"0--Parade/a: expected scores \[n\]"):
        update(metric, {A: {"boxes": torch.zeros(2, 4), "scores": torch.zeros(3)}})
    with pytest.raises(PredictionError, match="1 for 2"):
        metric.update([prediction()], [{"image_id": A}, {"image_id": B}])


def test_half_precision_and_gradients(ground_truth: Written) -> None:
    found = {
        i: {"boxes": p["boxes"].bfloat16(), "scores": p["scores"].half().requires_grad_()} for i, p in perfect().items()
    }
    assert evaluate(ground_truth(FACES), found) == dict.fromkeys(KEYS, 1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_gpu(ground_truth: Written) -> None:
    found = {i: {name: value.cuda() for name, value in p.items()} for i, p in perfect().items()}
    folder = ground_truth(FACES)
    assert update(WiderFaceAP(folder).cuda(), found).compute() == dict.fromkeys(KEYS, 1.0)
    assert update(WiderFaceAP(folder), found).compute() == dict.fromkeys(KEYS, 1.0)


@pytest.mark.parametrize(("seed", "thresholds"), [(0, 1000), (1, 100), (2, 100), (3, 100), (4, 80), (5, 80)])
def test_equals_plain_loops(ground_truth: Written, random_faces: RandomFaces, seed: int, thresholds: int) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "wider_reference.py"
    faces, counted, found = random_faces(seed)
    as_lists = {
        i: [
            ((x1, y1, x2 - x1, y2 - y1), s)
            for (x1, y1, x2, y2), s in zip(p["boxes"].tolist(), p["scores"].tolist(), strict=True)
        ]
        for i, p in found.items()
    }
    expected = runpy.run_path(str(path))["reference_ap"](faces, counted, as_lists, thresholds)
    assert all(0 < value < 1 for value in expected.values())  # the data must be able to tell
    assert expected["AP_hard"] > 0.2
    assert evaluate(ground_truth(faces, counted), found, thresholds=thresholds) == pytest.approx(expected, abs=1e-12)


def distributed_worker(rank: int, folder: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out}/rendezvous", rank=rank, world_size=3)
    found = perfect()
    # The third process sees no image; the second sees one again that the first had, as a padding sampler does.
    share = [{A: found[A], C: found[C]}, {B: found[B], A: prediction([0, 0, 3, 3, 0.99])}, {}][rank]
    metric = update(WiderFaceAP(folder), share)
    recall = metric.curves()["hard"][0]
    torch.save((metric.compute(), float(recall[-1]), len(metric.images)), f"{out}/{rank}.pt")
    dist.destroy_process_group()


def test_three_processes(ground_truth: Written, tmp_path: Path) -> None:
    folder = ground_truth(FACES)
    mp.start_processes(distributed_worker, args=(str(folder), str(tmp_path)), nprocs=3, start_method="fork")
    for rank in range(3):
        result, recall, own_updates = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert result == dict.fromkeys(KEYS, 1.0)
        assert recall == 1.0
        assert own_updates == 1  # the process has its own states back


def test_published_result(shared: Path) -> None:
    """RetinaFace MobileNet-0.25 on all 3,226 validation images, as the official evaluation gives it."""
    found = read_wider_predictions(shared / "reference" / "retinaface_mnet025_wider_val.zip")
    result = evaluate(shared / "data" / "wider_face" / "eval_tools" / "ground_truth", found)
    assert {name: round(value, 4) for name, value in result.items()} == {
        "AP_easy": 0.9070,
        "AP_medium": 0.8816,
        "AP_hard": 0.7383,
    }
