"""WIDER's MATLAB files: values as stored, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from data_modules.errors import DataError
from data_modules.labels.faces import faces_of_tables, faces_of_text
from data_modules.labels.wider_mat import read_counted, read_tables, without_zero_face
from data_modules.labels.wider_text import read_wider_text
from data_modules.loading.fingerprint import annotation_hash


def cell(*values: Any) -> np.ndarray:
    """A MATLAB cell array [n, 1]."""
    column = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        column[row, 0] = value
    return column


def content(**changes: Any) -> dict[str, Any]:
    """Two events; the second has an image without faces, written as a face of zeros, and one with none at all."""
    boxes = np.array([[1, 2, 3, 4], [5, 6, -7, 0]], np.int32)
    return {
        "event_list": cell("0--Parade", "street"),
        "file_list": cell(cell("a.b"), cell("c", "d")),
        "face_bbx_list": cell(cell(boxes), cell(np.zeros((1, 4)), np.zeros((0, 4)))),
        "invalid_label_list": cell(cell(np.array([[0], [1]])), cell(np.zeros((1, 1)), np.zeros((0, 1)))),
    } | changes


@pytest.mark.parametrize("turned", [False, True])
def test_tables_as_stored(tmp_path: Path, turned: bool) -> None:
    """Whichever way the cells lie."""
    written = {key: value.T if turned else value for key, value in content().items()}
    savemat(tmp_path / "faces.mat", written)
    tables = read_tables(tmp_path / "faces.mat")
    assert list(tables) == ["0--Parade/a.b.jpg", "street/c.jpg", "street/d.jpg"]
    assert [table.shape for table in tables.values()] == [(2, 10), (1, 10), (0, 10)]
    first = tables["0--Parade/a.b.jpg"]
    assert first.dtype == np.float64
    assert first[:, :4].tolist() == [[1, 2, 3, 4], [5, 6, -7, 0]]  # a negative size too
    assert first[:, 7].tolist() == [0, 1]
    assert np.isnan(first[:, [4, 5, 6, 8, 9]]).all()
    assert [len(without_zero_face(table)) for table in tables.values()] == [2, 0, 0]
    assert np.isnan(read_tables(tmp_path / "faces.mat", ())["0--Parade/a.b.jpg"][:, 4:]).all()


def test_lists_asked_for_have_to_be_there(tmp_path: Path) -> None:
    savemat(tmp_path / "faces.mat", {key: value for key, value in content().items() if key != "invalid_label_list"})
    assert np.isnan(read_tables(tmp_path / "faces.mat")["0--Parade/a.b.jpg"][:, 7]).all()
    with pytest.raises(DataError, match="found no invalid_label_list"):
        read_tables(tmp_path / "faces.mat", ["invalid"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"event_list": cell("0--Parade")}, r"as many events in file_list as in event_list \(1\), found 2"),
        ({"file_list": cell(cell("a"), cell("c", "c"))}, "each listed once, found 3, 2 of them distinct"),
        ({"file_list": cell(cell("a"), cell("c", 7))}, "the name of an event or image, found"),
        ({"face_bbx_list": cell(cell(np.zeros((1, 4))))}, "expected 3 images in face_bbx_list, found 1"),
        (
            {"face_bbx_list": cell(cell(np.zeros((2, 3))), cell(np.zeros((1, 4)), np.zeros((0, 4))))},
            r"0--Parade/a.b.jpg: expected boxes \[N, 4\] of finite numbers, found \[2, 3\]",
        ),
        (
            {"face_bbx_list": cell(cell(np.full((2, 4), np.nan)), cell(np.zeros((1, 4)), np.zeros((0, 4))))},
            "0--Parade/a.b.jpg: expected boxes .* finite",
        ),
        (
            {"invalid_label_list": cell(cell(np.zeros((1, 1))), cell(np.zeros((1, 1)), np.zeros((0, 1))))},
            "0--Parade/a.b.jpg: .* invalid_label_list, found 2 boxes and 1 numbers",
        ),
    ],
)
def test_lists_that_do_not_fit_each_other(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    savemat(tmp_path / "faces.mat", content(**changes))
    with pytest.raises(DataError, match=rf"faces\.mat.*{words}"):
        read_tables(tmp_path / "faces.mat")


def test_faces_that_count(tmp_path: Path) -> None:
    lists = cell(cell(np.array([[1], [3]], np.uint16)), cell(np.zeros((0, 1)), np.array([[2.0]])))
    savemat(tmp_path / "counted.mat", {"gt_list": lists})
    assert [found.tolist() for found in read_counted(tmp_path / "counted.mat")] == [[1, 3], [], [2]]
    savemat(tmp_path / "counted.mat", {"gt_list": cell(cell(np.array([[1.5]])))})
    with pytest.raises(DataError, match="image 1: expected whole numbers of faces"):
        read_counted(tmp_path / "counted.mat")


def test_mat_equals_text(wider_root: Path) -> None:
    for split in ("train", "val"):
        folder = wider_root / "wider_face_split"
        path = folder / f"wider_face_{split}.mat"
        text = faces_of_text(read_wider_text(folder / f"wider_face_{split}_bbx_gt.txt"))
        mat = faces_of_tables(path, read_tables(path, ["invalid"]))
        assert [image.path for image in text] == [image.path for image in mat]
        for one, other in zip(text, mat, strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.ignore, other.ignore)
        assert annotation_hash(text, ["face"]) == annotation_hash(mat, ["face"])


def test_mat_refused(tmp_path: Path, wider_root: Path) -> None:
    (tmp_path / "bad.mat").write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(DataError, match=r"bad.mat: expected a MATLAB 5 file"):
        read_tables(tmp_path / "bad.mat")
    savemat(tmp_path / "other.mat", {"file_list": np.zeros(3)})
    with pytest.raises(DataError, match="found no event_list, face_bbx_list, invalid_label_list"):
        read_tables(tmp_path / "other.mat", ["invalid"])
    table = loadmat(wider_root / "wider_face_split" / "wider_face_val.mat")
    table["face_bbx_list"][0, 0][0, 0][0, 2] = -3
    savemat(tmp_path / "negative.mat", {key: value for key, value in table.items() if not key.startswith("__")})
    with pytest.raises(DataError, match=r"0--Parade/v_1.jpg.*-3"):
        faces_of_tables(tmp_path / "negative.mat", read_tables(tmp_path / "negative.mat"))
