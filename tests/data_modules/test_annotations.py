"""Annotation files: what they mean, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from data_modules.annotations import read_text, with_landmarks
from data_modules.annotations_mat import read_mat
from data_modules.errors import DataError
from data_modules.fingerprint import annotation_hash
from data_modules.landmarks import read_landmarks

FACE = "10 20 30 40 0 0 0 0 0 0"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_text_by_hand(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gt.txt",
        "0--Parade/x.y.jpg",
        "3",
        FACE,
        "1 2 3 4 0 0 0 1 0 0 ",  # invalid
        "5 6 0 7 0 0 0 0 0 0",  # no width
        "1--Hand/none.jpg",
        "0",
        "0 0 0 0 0 0 0 0 0 0 ",
        "1--Hand/also_none.jpg",  # as the official validation file writes it
        "1",
        "0 0 0 0 0 0 0 0 0 0",
        "1--Hand/last.jpg",
        "1",
        FACE,
    )
    first, none, also_none, last = read_text(path)
    assert (first.image_id, first.path) == ("0--Parade/x.y", "0--Parade/x.y.jpg")
    assert first.boxes.tolist() == [[10, 20, 40, 60], [1, 2, 4, 6], [5, 6, 5, 13]]
    assert first.ignore.tolist() == [False, True, True]
    assert first.keypoints.shape == (3, 5, 3)
    assert not first.keypoints.any()
    assert none.boxes.shape == also_none.boxes.shape == (0, 4)
    assert none.keypoints.shape == (0, 5, 3)
    assert last.image_id == "1--Hand/last"
    assert first.boxes.dtype == np.float32


@pytest.mark.parametrize(
    ("lines", "number", "words"),
    [
        (["e/a.jpg", "1", "10 20 x 40 0 0 0 0 0 0"], 3, ["ten numbers", "10 20 x 40"]),
        (["e/a.jpg", "1", "10 20 nan 40 0 0 0 0 0 0"], 3, ["ten numbers", "nan"]),
        (["e/a.jpg", "1", "10 20 30 40"], 3, ["ten numbers", "'10 20 30 40'"]),
        (["e/a.jpg", "1", FACE + " 1"], 3, ["ten numbers"]),
        (["e/a.jpg", "1", "10 20 30 -4 0 0 0 0 0 0"], 3, ["0 or more", "-4"]),
        (["e/a.jpg", "1", FACE, FACE, "e/b.jpg", "0"], 4, ["path", "count", FACE]),  # count too small
        (["e/a.jpg", "3", FACE, FACE, "e/b.jpg", "0"], 5, ["face 3 of 3 of e/a.jpg", "e/b.jpg"]),  # too large
        (["e/a.jpg", "2", FACE], 4, ["face 2 of 2", "end of the file"]),
        (["e/a.jpg", "one", FACE], 2, ["number of faces of e/a.jpg", "one"]),
        (["e/a.jpg"], 2, ["number of faces", "end of the file"]),
        (["a.jpg", "1", FACE], 1, ["<event>/<name>.jpg", "a.jpg"]),
        (["e/a.jpg", "1", FACE, "e/a.jpg", "1", FACE], 4, ["once"]),
    ],
)
def test_text_refused(tmp_path: Path, lines: list[str], number: int, words: list[str]) -> None:
    path = write(tmp_path / "gt.txt", *lines)
    with pytest.raises(DataError) as caught:
        read_text(path)
    for word in [str(path), f"line {number}:", *words]:
        assert word in str(caught.value)


def test_text_missing_empty_binary(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the annotation file .*absent.txt, found none"):
        read_text(tmp_path / "absent.txt")
    with pytest.raises(DataError, match="found an empty file"):
        read_text(write(tmp_path / "empty.txt", ""))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match=r"binary.txt.*UTF-8"):
        read_text(tmp_path / "binary.txt")


def test_official_negative_width_is_an_ignored_face(tmp_path: Path) -> None:
    name = "7--Cheering/7_Cheering_Cheering_7_17.jpg"
    (image,) = read_text(write(tmp_path / "gt.txt", name, "1", "0 5 -11 5 0 0 0 0 0 0"))
    assert image.boxes.tolist() == [[0, 5, 0, 10]]
    assert image.ignore.tolist() == [True]


def test_mat_equals_text(wider_root: Path) -> None:
    for split in ("train", "val"):
        folder = wider_root / "wider_face_split"
        text, mat = read_text(folder / f"wider_face_{split}_bbx_gt.txt"), read_mat(folder / f"wider_face_{split}.mat")
        assert [image.path for image in text] == [image.path for image in mat]
        for one, other in zip(text, mat, strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.ignore, other.ignore)
        assert annotation_hash(text, ["face"]) == annotation_hash(mat, ["face"])


def test_mat_refused(tmp_path: Path, wider_root: Path) -> None:
    from scipy.io import loadmat, savemat

    (tmp_path / "bad.mat").write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(DataError, match=r"bad.mat: expected a MATLAB 5 file"):
        read_mat(tmp_path / "bad.mat")
    savemat(tmp_path / "other.mat", {"file_list": np.zeros(3)})
    with pytest.raises(DataError, match="found no event_list, face_bbx_list, invalid_label_list"):
        read_mat(tmp_path / "other.mat")
    table = loadmat(wider_root / "wider_face_split" / "wider_face_val.mat")
    table["face_bbx_list"][0, 0][0, 0][0, 2] = -3
    savemat(tmp_path / "negative.mat", {key: value for key, value in table.items() if not key.startswith("__")})
    with pytest.raises(DataError, match=r"0--Parade/v_1.jpg.*-3"):
        read_mat(tmp_path / "negative.mat")


def test_hash_sees_boxes_flags_and_images_but_not_order(tmp_path: Path) -> None:
    def hash_of(*lines: str) -> str:
        return annotation_hash(read_text(write(tmp_path / "gt.txt", *lines)), ["face"])

    a, b = ["e/a.jpg", "1", FACE], ["e/b.jpg", "0"]
    original = hash_of(*a, *b)
    assert len(original) == 16
    assert hash_of(*b, *a) == original
    changed = [
        hash_of(*a),
        hash_of("e/c.jpg", *a[1:], *b),
        hash_of(*a[:2], FACE.replace("10", "11"), *b),
        hash_of(*a[:2], "10 20 30 40 0 0 0 1 0 0", *b),
    ]
    assert len({original, *changed}) == 5


POINTS = "1 2 0 3 4 0 5 6 1 -1 -1 -1 9 10 0"


def test_landmarks_by_hand(tmp_path: Path) -> None:
    (image,) = read_text(write(tmp_path / "gt.txt", "e/a.jpg", "3", FACE, "1 1 5 5 0 0 0 1 0 0", FACE))
    path = write(
        tmp_path / "landmarks.txt", "# e/a.jpg 100 80", f"10.5 20 40 60.9 {POINTS}", "10 20 40 60", "# e/z.jpg 1 1"
    )
    (labelled,) = with_landmarks([image], read_landmarks(path), path)
    expected = [[1, 2, 1], [3, 4, 1], [5, 6, 1], [0, 0, 0], [9, 10, 1]]
    assert labelled.keypoints[0].tolist() == expected  # any flag but -1 -1 -1 is a labelled point
    assert not labelled.keypoints[1].any()  # a face that the landmark file skips
    assert not labelled.keypoints[2].any()  # a face of four numbers
    assert not image.keypoints.any()


def test_landmarks_refused(tmp_path: Path) -> None:
    for lines, words in [
        (["1 2 3 4"], "line 1: expected `# "),
        (["# nothing"], "line 1: expected `# "),
        (["# e/a.jpg 1 1", "1 2 3"], "line 2: expected a face as"),
        (["# e/a.jpg 1 1", "1 2 3 x"], "line 2: expected a face as"),
    ]:
        with pytest.raises(DataError, match=words):
            read_landmarks(write(tmp_path / "landmarks.txt", *lines))
    (image,) = read_text(write(tmp_path / "gt.txt", "e/a.jpg", "1", FACE))
    for lines in (["10 20 40 61.1"], ["10 20 40 60", "10 20 40 60"]):  # off by more than 1 px; one face too many
        path = write(tmp_path / "landmarks.txt", "# e/a.jpg 1 1", *lines)
        with pytest.raises(DataError, match=r"boxes of e/a.jpg"):
            with_landmarks([image], read_landmarks(path), path)
