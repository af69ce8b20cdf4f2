"""Landmarks of a RetinaFace file, matched with the faces of another."""

from pathlib import Path

import pytest

from data_modules.errors import DataError
from data_modules.labels.faces import faces_of_text, landmarks_of, with_landmarks
from data_modules.labels.retinaface_text import read_retinaface_text
from data_modules.labels.wider_text import read_wider_text

FACE = "10 20 30 40 0 0 0 0 0 0"
POINTS = "1 2 0 3 4 0 5 6 1 -1 -1 -1 9 10 0"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_landmarks_by_hand(tmp_path: Path) -> None:
    (image,) = faces_of_text(
        read_wider_text(write(tmp_path / "gt.txt", "e/a.jpg", "3", FACE, "1 1 5 5 0 0 0 1 0 0", FACE))
    )
    path = write(
        tmp_path / "landmarks.txt", "# e/a.jpg 100 80", f"10.5 20 40 60.9 {POINTS}", "10 20 40 60", "# e/z.jpg 1 1"
    )
    (labelled,) = with_landmarks([image], landmarks_of(read_retinaface_text(path)), path)
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
            read_retinaface_text(write(tmp_path / "landmarks.txt", *lines))
    (image,) = faces_of_text(read_wider_text(write(tmp_path / "gt.txt", "e/a.jpg", "1", FACE)))
    for lines in (["10 20 40 61.1"], ["10 20 40 60", "10 20 40 60"]):  # off by more than 1 px; one face too many
        path = write(tmp_path / "landmarks.txt", "# e/a.jpg 1 1", *lines)
        with pytest.raises(DataError, match=r"boxes of e/a.jpg"):
            with_landmarks([image], landmarks_of(read_retinaface_text(path)), path)
