"""WIDER text: what it means, what is refused, and that no digit is lost."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from data_modules.errors import DataError
from data_modules.labels.faces import FaceImage, faces_of_text
from data_modules.labels.wider_text import read_wider_records, read_wider_text, write_wider_text
from data_modules.loading.fingerprint import annotation_hash

FACE = "10 20 30 40 0 0 0 0 0 0"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def faces(path: Path) -> list[FaceImage]:
    return faces_of_text(read_wider_text(path))


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
    first, none, also_none, last = faces(path)
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
        (["a/b/c.jpg", "1", FACE], 1, ["<event>/<name>.jpg", "a/b/c.jpg"]),
        (["/a.jpg", "1", FACE], 1, ["<event>/<name>.jpg", "/a.jpg"]),
        (["e\\a.jpg", "1", FACE], 1, ["<event>/<name>.jpg"]),
        (["e/a.jpg", "1", "10 20 30 40 0 0 0 0.5 0 0"], 3, ["ten numbers", "the last six whole"]),
        (["e/a.jpg", "1", "1_0 20 30 40 0 0 0 0 0 0"], 3, ["ten numbers", "1_0"]),
        (["e/a.jpg", "1", "", FACE], 3, ["face 1 of 1"]),  # blank lines stand between images only
        (["e/b.jpg", "0", "", "e/a.jpg", "2", FACE, "10 20 inf 40 0 0 0 0 0 0"], 7, ["face 2 of 2 of e/a.jpg"]),
        (["e/a.jpg", "1", FACE, "e/a.png", "1", FACE], 4, ["once"]),  # one id
        (["e/a.jpg", "1", FACE, "e/a.jpg", "1", FACE], 4, ["once"]),
    ],
)
def test_text_refused(tmp_path: Path, lines: list[str], number: int, words: list[str]) -> None:
    path = write(tmp_path / "gt.txt", *lines)
    with pytest.raises(DataError) as caught:
        faces(path)
    for word in [str(path), f"line {number}:", *words]:
        assert word in str(caught.value)


def test_text_missing_empty_binary(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the annotation file .*absent.txt, found none"):
        faces(tmp_path / "absent.txt")
    with pytest.raises(DataError, match="found an empty file"):
        faces(write(tmp_path / "empty.txt", ""))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match=r"binary.txt.*UTF-8"):
        faces(tmp_path / "binary.txt")


def test_official_negative_width_is_an_ignored_face(tmp_path: Path) -> None:
    name = "7--Cheering/7_Cheering_Cheering_7_17.jpg"
    (image,) = faces(write(tmp_path / "gt.txt", name, "1", "0 5 -11 5 0 0 0 0 0 0"))
    assert image.boxes.tolist() == [[0, 5, 0, 10]]
    assert image.ignore.tolist() == [True]


def test_hash_sees_boxes_flags_and_images_but_not_order(tmp_path: Path) -> None:
    def hash_of(*lines: str) -> str:
        return annotation_hash(faces(write(tmp_path / "gt.txt", *lines)), ["face"])

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


def test_digits_and_lines_are_kept(tmp_path: Path) -> None:
    lines = ["", "0--Parade/a b.jpg", "2", "0.10 2 3.3 4 2 1 0 1 0 1", "5 6 7 8 0 0 0 0 0 0", "", " ", "c.JPG", "1"]
    path = write(tmp_path / "gt.txt", *lines, "0 0 0 0 0 0 0 0 0 0", "", "")
    first, second = read_wider_records(path)
    assert (first.path, first.line, second.path, second.line) == ("0--Parade/a b.jpg", 2, "c.JPG", 8)
    assert first.faces[0].box == tuple(map(Decimal, ("0.10", "2", "3.3", "4")))
    assert str(first.faces[0].box[0]) == "0.10"
    assert first.faces[0].attributes == (2, 1, 0, 1, 0, 1)
    assert first.faces[0].invalid
    assert (second.faces, second.zero_face) == ((), True)
    table = read_wider_text(path)[0].table
    assert table.tolist() == [[0.1, 2, 3.3, 4, 2, 1, 0, 1, 0, 1], [5, 6, 7, 8, 0, 0, 0, 0, 0, 0]]
    assert table.dtype == np.float64
    write_wider_text(tmp_path / "back.txt", [first, second])
    assert (tmp_path / "back.txt").read_text().split() == path.read_text().split()


def test_an_image_without_a_folder(tmp_path: Path) -> None:
    (image,) = faces(write(tmp_path / "gt.txt", "a.jpg", "1", FACE))
    assert (image.image_id, image.path) == ("a", "a.jpg")
