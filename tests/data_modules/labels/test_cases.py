"""Small label files as they are found: blank lines, byte order marks, spaces in names, images without folders."""

import json
import shutil
from pathlib import Path

import pytest

from data_modules.convert import convert
from data_modules.errors import DataError
from data_modules.labels.coco_objects import read_objects
from data_modules.labels.faces import FaceImage, faces_of_labels, faces_of_text
from data_modules.labels.retinaface_text import read_retinaface_text
from data_modules.labels.wider_text import read_wider_text
from data_modules.wider_face.files import WiderFaceFiles

EVENTS = ("0--Parade/0_Parade_a_1", "0--Parade/0_Parade_a_2", "1--Meeting/1_Meeting_b_1", "1--Meeting/1_Meeting_b_2")
FLAT = tuple(name.partition("/")[2] for name in EVENTS)
SPACED = tuple(name.replace("_", " ") for name in EVENTS)
BOXES = [
    [[40, 40, 100, 116], [160, 60, 208, 120]],
    [[100, 50, 180, 150]],
    [[30, 30, 70, 80], [120, 90, 164, 146], [220, 40, 270, 104]],
    [[60, 60, 150, 172]],
]


def read(path: Path) -> list[FaceImage]:
    if path.name.startswith("rf_"):
        return faces_of_labels(path, read_retinaface_text(path))
    return faces_of_text(read_wider_text(path))


@pytest.mark.parametrize(
    ("name", "image_ids"),
    [
        ("blank_lines/wider_face_val_bbx_gt.txt", EVENTS),
        ("bom/wider_face_val_bbx_gt.txt", EVENTS),
        ("bom/rf_bom_label.txt", EVENTS),
        ("retinaface_spaces/rf_space_label.txt", SPACED),
        ("flat_names/wider_face_val_bbx_gt.txt", FLAT),
        ("flat_names/rf_flat_label.txt", FLAT),
    ],
)
def test_faces_and_names(shared: Path, name: str, image_ids: tuple[str, ...]) -> None:
    images = read(shared / "cases" / name)
    assert tuple(image.image_id for image in images) == image_ids
    assert [image.boxes.tolist() for image in images] == BOXES


@pytest.mark.parametrize("name", ["blank_lines/wider_face_val_bbx_gt.txt", "flat_names/wider_face_val_bbx_gt.txt"])
def test_they_are_datasets(shared: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "wider_face_split").mkdir()
    shutil.copy(shared / "cases" / name, tmp_path / "wider_face_split")
    files = WiderFaceFiles(tmp_path)
    assert [image.boxes.tolist() for image in files.annotated("val")] == BOXES
    assert [len(item.boxes) for item in files.verification("val").items] == [2, 1, 3, 1]


@pytest.mark.parametrize("name", ["bom/coco_bom.json", "flat_names/rf_flat_label.txt", "bom/rf_bom_label.txt"])
def test_they_are_converted(shared: Path, tmp_path: Path, name: str) -> None:
    done = convert(shared / "cases" / name, tmp_path / "bbx_gt.txt")
    assert (done["images"], done["faces"]) == (4, 7)
    assert [image.boxes.tolist() for image in read(tmp_path / "bbx_gt.txt")] == BOXES


def test_other_bytes_are_told(shared: Path) -> None:
    with pytest.raises(DataError, match=r"utf16_bbx_gt\.txt: expected text in UTF-8, .* save it as UTF-8"):
        read_wider_text(shared / "cases" / "bom" / "utf16_bbx_gt.txt")


def test_nulls_ids_and_names_in_coco(shared: Path, tmp_path: Path) -> None:
    """As the evaluator has them (tests/metrics/test_coco_truth.py); two labels of one name cannot be told apart."""
    folder = shared / "cases" / "null_area_iscrowd"
    for name in ("c_areanull.json", "c_crowdnull.json"):
        labelled = read_objects(folder / name).images
        assert [image.boxes.tolist() for image in labelled] == BOXES
        assert not any(image.ignore.any() for image in labelled)
        convert(folder / name, tmp_path / "back.json")
        crowds = [face["iscrowd"] for face in json.loads((tmp_path / "back.json").read_text())["annotations"]]
        assert crowds == [0] * 7
    for name, message in (
        ("c_strid.json", "whole numbers as ids in entry 0 of `images`"),
        ("c_strcat.json", "whole numbers as ids in entry 0 of `annotations`"),
        ("c_dupname.json", "every name of `categories` once"),
    ):
        with pytest.raises(DataError, match=rf"{name}: expected {message}"):
            read_objects(folder / name)
