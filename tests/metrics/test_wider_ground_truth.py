"""WIDER FACE's evaluation files, and faces as arrays, as one flat ground truth; what of it its hash tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from bench.metrics.wider_ground_truth import GroundTruthError, WiderGroundTruth, read_wider_ground_truth

Written = Callable[..., Path]
FACES: dict[str, list[list[float]]] = {
    "0--Parade/a": [[1, 2, 3, 4], [5, 6, 0, 0]],
    "0--Parade/b": [],
    "1--Handshaking/c": [[7, 8, 9, 10]],
}


def test_flat_arrays(ground_truth: Written) -> None:
    truth = read_wider_ground_truth(ground_truth(FACES, {"easy": {"0--Parade/a": [2]}, "hard": {}}))
    assert truth.image_ids == tuple(FACES)
    assert truth.boxes.tolist() == [[1, 2, 4, 6], [5, 6, 5, 6], [7, 8, 16, 18]]
    assert truth.offsets.tolist() == [0, 2, 2, 3]
    assert truth.counted["easy"].tolist() == [False, True, False]
    assert truth.counted["medium"].tolist() == [True, True, True]
    assert truth.counted["hard"].tolist() == [False, False, False]


def test_restrict(ground_truth: Written) -> None:
    truth = read_wider_ground_truth(ground_truth(FACES, {"easy": {"1--Handshaking/c": [1]}}))
    part = truth.restrict(["1--Handshaking/c", "0--Parade/b", "1--Handshaking/c", "0--Parade/a"])
    assert part.image_ids == ("1--Handshaking/c", "0--Parade/b", "0--Parade/a")
    assert part.boxes.tolist() == [[7, 8, 16, 18], [1, 2, 4, 6], [5, 6, 5, 6]]
    assert part.offsets.tolist() == [0, 1, 1, 3]
    assert part.counted["easy"].tolist() == [True, False, False]
    with pytest.raises(GroundTruthError, match=r"2 unknown ones, the first '0--Parade/z'"):
        truth.restrict(["0--Parade/a", "0--Parade/z", "c"])
    with pytest.raises(GroundTruthError, match="empty list"):
        truth.restrict([])


def test_61_events_round_trip(ground_truth: Written) -> None:
    rng = np.random.default_rng(0)
    faces = {
        f"{event}--Event/{event}_{image}": rng.integers(0, 900, (rng.integers(0, 4), 4)).tolist()
        for event in range(61)
        for image in range(1 + event % 3)
    }
    counted = {
        s: {i: [n + 1 for n in range(len(b)) if rng.random() < 0.5] for i, b in faces.items()} for s in ("easy",)
    }
    truth = read_wider_ground_truth(ground_truth(faces, counted))
    assert truth.image_ids == tuple(faces)
    assert len({image_id.split("/")[0] for image_id in truth.image_ids}) == 61
    for i, image_id in enumerate(truth.image_ids):
        own = slice(truth.offsets[i], truth.offsets[i + 1])
        assert [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in truth.boxes[own].tolist()] == faces[image_id]
        assert (truth.counted["easy"][own].nonzero()[0] + 1).tolist() == counted["easy"][image_id]


def test_one_event_with_one_image_of_one_face(ground_truth: Written) -> None:
    truth = read_wider_ground_truth(ground_truth({"0--Parade/a": [[1, 2, 3, 4]]}))
    assert truth.boxes.tolist() == [[1, 2, 4, 6]]
    assert truth.counted["hard"].tolist() == [True]


def test_official_files(shared: Path) -> None:
    truth = read_wider_ground_truth(shared / "data" / "wider_face" / "eval_tools" / "ground_truth")
    assert len(truth.image_ids) == 3226
    assert truth.boxes.shape == (39708, 4)
    assert {name: int(mask.sum()) for name, mask in truth.counted.items()} == {
        "easy": 7211,
        "medium": 13319,
        "hard": 31958,
    }


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match=r"expected .* at .*wider_face_val\.mat, found none; point"):
        read_wider_ground_truth(tmp_path)


def test_damaged_file(ground_truth: Written) -> None:
    folder = ground_truth(FACES)
    (folder / "wider_hard_val.mat").write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(GroundTruthError, match=r"wider_hard_val\.mat: expected a MATLAB 5 file"):
        read_wider_ground_truth(folder)


def test_face_number_out_of_range(ground_truth: Written) -> None:
    for numbers in ([3], [0], [1, 1]):
        with pytest.raises(GroundTruthError, match=r"wider_easy_val\.mat: 0--Parade/a: expected distinct .* 1 and 2"):
            read_wider_ground_truth(ground_truth(FACES, {"easy": {"0--Parade/a": numbers}}))


def test_files_that_do_not_fit_each_other(ground_truth: Written) -> None:
    folder = ground_truth(FACES)
    savemat(folder / "wider_easy_val.mat", {"gt_list": loadmat(folder / "wider_hard_val.mat")["gt_list"][:1]})
    with pytest.raises(GroundTruthError, match="expected 3 images, found 2"):
        read_wider_ground_truth(folder)
    savemat(folder / "wider_easy_val.mat", {"other": 1})
    with pytest.raises(GroundTruthError, match=r"found no gt_list"):
        read_wider_ground_truth(folder)


def arrays(**changes: Any) -> WiderGroundTruth:
    """The faces of `FACES` as arrays; the second of image a does not count as easy."""
    given: dict[str, Any] = {
        "image_ids": list(FACES),
        "boxes": [np.array([[1, 2, 4, 6], [5, 6, 5, 6]]), np.zeros((0, 4)), np.array([[7, 8, 16, 18]])],
        "counted": {
            "easy": [np.array([True, False]), np.zeros(0, bool), np.array([True])],
            "hard": [np.array([True, True]), np.zeros(0, bool), np.array([True])],
        },
    }
    return WiderGroundTruth.of_arrays(**(given | changes))


def arrays_counted() -> dict[str, Any]:
    """What of them counts, image by image."""
    cut = arrays().offsets[1:-1]
    return {name: np.split(mask, cut) for name, mask in arrays().counted.items()}


def test_faces_as_arrays(ground_truth: Written) -> None:
    counted = {"easy": {"0--Parade/a": [1], "1--Handshaking/c": [1]}}
    files = read_wider_ground_truth(ground_truth(FACES, counted))
    found = arrays(counted={**arrays_counted(), "medium": arrays_counted()["hard"]})
    assert found.image_ids == files.image_ids
    assert found.boxes.tolist() == files.boxes.tolist()
    assert found.boxes.dtype == np.float64
    assert found.offsets.tolist() == files.offsets.tolist()
    for setting, mask in files.counted.items():
        assert found.counted[setting].tolist() == mask.tolist()
    assert found.content_hash() == files.content_hash()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_ids": ["a", "b", "a"]}, "3 images, 2 of them distinct, and 3 lists of faces"),
        ({"image_ids": [], "boxes": []}, "0 images"),
        ({"boxes": [np.zeros((3, 4))]}, "3 images, 3 of them distinct, and 1 lists"),
        ({"counted": {}}, "a setting that tells which faces count, found none"),
        ({"counted": {"easy": [[True], [True], [True]]}}, "whether it counts as easy, found other numbers"),  # 3 in all
        ({"counted": {"easy": [[True, True], []]}}, "whether it counts as easy"),
        ({"boxes": [np.zeros((2, 2)), np.zeros((0, 4)), np.zeros((1, 4))]}, r"0--Parade/a: expected faces \[N, 4\]"),
        (
            {"boxes": [np.full((2, 4), np.nan), np.zeros((0, 4)), np.zeros((1, 4))]},
            r"0--Parade/a: expected faces \[N, 4\] of finite numbers, found \[\[nan",
        ),
    ],
)
def test_arrays_that_do_not_fit_each_other(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GroundTruthError, match=message):
        arrays(**changes)


def test_the_hash_is_free_of_order_and_place(ground_truth: Written, tmp_path: Path) -> None:
    files = read_wider_ground_truth(ground_truth(FACES)).content_hash()
    backwards = dict(reversed(FACES.items()))
    moved = ground_truth(backwards).rename(tmp_path / "elsewhere")
    assert read_wider_ground_truth(moved).content_hash() == files
    assert arrays().restrict(list(reversed(FACES))).content_hash() == arrays().content_hash()
    assert len(files) == 16


MOVED = [np.array([[1, 2, 4, 6]]), np.array([[5, 6, 5, 6]]), np.array([[7, 8, 16, 18]])]


@pytest.mark.parametrize(
    "changes",
    [
        {"image_ids": ["0--Parade/a", "0--Parade/z", "1--Handshaking/c"]},  # another image
        {"boxes": [np.array([[1, 2, 4, 6], [5, 6, 5, 7]]), np.zeros((0, 4)), np.array([[7, 8, 16, 18]])]},  # a box
        {"boxes": [np.array([[1, 2, 4, 6], [5, 6, 5, 6 + 1e-9]]), np.zeros((0, 4)), np.array([[7, 8, 16, 18]])]},
        {"counted": {**arrays_counted(), "hard": [[True, False], [], [True]]}},  # one face counts otherwise
        {"counted": {"easy": arrays_counted()["easy"]}},  # a setting less
        {"counted": {"easy": arrays_counted()["easy"], "all": arrays_counted()["hard"]}},  # one of another name
        {"boxes": MOVED, "counted": {"easy": [[True], [False], [True]], "hard": [[True]] * 3}},  # a face's image
    ],
)
def test_the_hash_tells_everything_else(changes: dict[str, Any]) -> None:
    assert arrays(**changes).content_hash() != arrays().content_hash()


def test_the_hash_tells_the_images_evaluated() -> None:
    everything = arrays()
    hashes = {everything.restrict(some).content_hash() for some in (list(FACES), list(FACES)[:1], list(FACES)[:2])}
    assert len(hashes) == 3  # the third image less; the second, which has no faces, less
