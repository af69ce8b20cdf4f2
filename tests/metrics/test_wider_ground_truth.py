import numpy as np
import pytest
from scipy.io import loadmat, savemat

from bench.metrics.wider_ground_truth import GroundTruthError, read_wider_ground_truth

FACES = {"0--Parade/a": [[1, 2, 3, 4], [5, 6, 0, 0]], "0--Parade/b": [], "1--Handshaking/c": [[7, 8, 9, 10]]}


def test_flat_arrays(ground_truth):
    truth = read_wider_ground_truth(ground_truth(FACES, {"easy": {"0--Parade/a": [2]}, "hard": {}}))
    assert truth.image_ids == tuple(FACES)
    assert truth.boxes.tolist() == [[1, 2, 4, 6], [5, 6, 5, 6], [7, 8, 16, 18]]
    assert truth.offsets.tolist() == [0, 2, 2, 3]
    assert truth.counted["easy"].tolist() == [False, True, False]
    assert truth.counted["medium"].tolist() == [True, True, True]
    assert truth.counted["hard"].tolist() == [False, False, False]


def test_restrict(ground_truth):
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


def test_61_events_round_trip(ground_truth):
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


def test_one_event_with_one_image_of_one_face(ground_truth):
    truth = read_wider_ground_truth(ground_truth({"0--Parade/a": [[1, 2, 3, 4]]}))
    assert truth.boxes.tolist() == [[1, 2, 4, 6]]
    assert truth.counted["hard"].tolist() == [True]


def test_official_files(shared):
    truth = read_wider_ground_truth(shared / "data" / "wider_face" / "eval_tools" / "ground_truth")
    assert len(truth.image_ids) == 3226
    assert truth.boxes.shape == (39708, 4)
    assert {name: int(mask.sum()) for name, mask in truth.counted.items()} == {
        "easy": 7211,
        "medium": 13319,
        "hard": 31958,
    }


def test_missing_file(tmp_path):
    with pytest.raises(GroundTruthError, match=r"expected .* at .*wider_face_val\.mat, found none; point"):
        read_wider_ground_truth(tmp_path)


def test_damaged_file(ground_truth):
    folder = ground_truth(FACES)
    (folder / "wider_hard_val.mat").write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(GroundTruthError, match=r"wider_hard_val\.mat: expected a MATLAB file"):
        read_wider_ground_truth(folder)


def test_face_number_out_of_range(ground_truth):
    for numbers in ([3], [0], [1, 1]):
        with pytest.raises(GroundTruthError, match=r"wider_easy_val\.mat: 0--Parade/a: expected distinct .* 1 and 2"):
            read_wider_ground_truth(ground_truth(FACES, {"easy": {"0--Parade/a": numbers}}))


def test_files_that_do_not_fit_each_other(ground_truth):
    folder = ground_truth(FACES)
    savemat(folder / "wider_easy_val.mat", {"gt_list": loadmat(folder / "wider_hard_val.mat")["gt_list"][:1]})
    with pytest.raises(GroundTruthError, match="expected 3 images, found 2"):
        read_wider_ground_truth(folder)
    savemat(folder / "wider_easy_val.mat", {"other": 1})
    with pytest.raises(GroundTruthError, match=r"missing \['gt_list'\]"):
        read_wider_ground_truth(folder)
