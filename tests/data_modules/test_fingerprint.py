"""Fingerprints change with every single thing that is read, and with nothing else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_modules import Coco, WiderFace
from data_modules.loading.fingerprint import annotation_hash, image_hash
from data_modules.loading.transforms import ResizeLongSide

TEXT = "wider_face_split/wider_face_train_bbx_gt.txt"
LANDMARKS = "wider_face_split/wider_face_train_landmarks.txt"
IMAGE = "WIDER_train/images/0--Parade/a_1.jpg"
LAST_IMAGE = "1--Handshaking/b_2.jpg\n1\n70 30 16 18 0 0 0 0 0 0 \n"
INSTANCES = "annotations/instances_train2017.json"
Change = Callable[[Path], None]


def edit(name: str, old: str, new: str) -> Change:
    """Replaces the one `old` of a file."""

    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert text.count(old) == 1
        (root / name).write_text(text.replace(old, new))

    return change


def longer(root: Path) -> None:
    (root / IMAGE).write_bytes((root / IMAGE).read_bytes() + b"\0")


def touched(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (1e9, 1e9))


def reordered(root: Path) -> None:
    """The last image of the text file first."""
    images = (root / TEXT).read_text().split("1--Handshaking/b_2.jpg\n")
    (root / TEXT).write_text("1--Handshaking/b_2.jpg\n" + images[1] + images[0])


@pytest.fixture
def wider(wider_root: Path) -> Path:
    """With landmarks of one face, the first point of them occluded, the last one unlabelled."""
    (wider_root / LANDMARKS).write_text(
        "# 0--Parade/a_1.jpg 96 80\n10 12 30 36 12 14 0 20 14 1 16 20 1 13 30 1 -1 -1 -1\n"
    )
    return wider_root


def hashes(root: Path) -> tuple[str, str]:
    summary = WiderFace(root, None, ResizeLongSide(48)).summary("train")
    assert (summary["name"], summary["split"]) == ("wider_face", "train")
    return summary["annotation_hash"], summary["image_hash"]


@pytest.mark.parametrize(
    ("change", "annotations", "images"),
    [
        pytest.param(longer, False, True, id="an image is a byte longer"),
        pytest.param(lambda root: (root / IMAGE).unlink(), False, True, id="an image is missing"),
        pytest.param(edit(TEXT, "60 40 12 12 ", "60 40 12 13 "), True, False, id="a box"),
        pytest.param(edit(TEXT, "70 30 16 18 0 0 0 0", "70 30 16 18 0 0 0 1"), True, False, id="a face is ignored"),
        pytest.param(edit(LANDMARKS, "16 20", "16 20.5"), True, False, id="a landmark"),
        pytest.param(edit(LANDMARKS, "-1 -1 -1", "0 0 0"), True, False, id="a landmark is visible"),
        pytest.param(lambda root: (root / LANDMARKS).unlink(), True, False, id="no landmarks"),
        pytest.param(edit(TEXT, LAST_IMAGE, ""), True, True, id="an image less"),
        pytest.param(touched, False, False, id="times"),
        pytest.param(reordered, False, False, id="order of the images"),
        pytest.param(edit(TEXT, "60 40 12 12 0", "60 40 12 12 2"), False, False, id="blur, which nothing reads"),
        pytest.param(edit(LANDMARKS, "12 14 0", "12 14 1"), False, False, id="a point occluded, which nothing reads"),
        pytest.param(lambda root: (root / "WIDER_train/images/x.jpg").touch(), False, False, id="an image not listed"),
    ],
)  # fmt: skip
def test_of_wider_face(wider: Path, change: Change, annotations: bool, images: bool) -> None:
    before = hashes(wider)
    change(wider)
    after = hashes(wider)
    assert [one != other for one, other in zip(before, after, strict=True)] == [annotations, images]


def test_the_folder_is_free(wider: Path, tmp_path: Path) -> None:
    before = hashes(wider)
    shutil.move(wider, tmp_path / "elsewhere")
    assert hashes(tmp_path / "elsewhere") == before


def test_without_the_folder_of_the_images_there_is_no_hash(wider: Path) -> None:
    annotations, _ = hashes(wider)
    shutil.rmtree(wider / "WIDER_train")
    assert hashes(wider) == (annotations, None)


CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}]
DOCUMENT: dict[str, Any] = {
    "images": [{"id": 4, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 4, "category_id": 7, "bbox": [10, 20, 30, 40], "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 8, "bbox": [1, 2, 3, 4], "iscrowd": 0},
    ],
    "categories": CATEGORIES,
}


def coco_hashes(root: Path, **options: Any) -> tuple[str, str]:
    summary = Coco(root, None, ResizeLongSide(48), **options).summary("train")
    return summary["annotation_hash"], summary["image_hash"]


@pytest.mark.parametrize(
    ("place", "value", "annotations", "images"),
    [
        pytest.param(("annotations", 0, "bbox"), [10, 20, 30, 40.5], True, False, id="a box"),
        pytest.param(("annotations", 0, "category_id"), 8, True, False, id="a label"),
        pytest.param(("annotations", 1, "iscrowd"), 1, True, False, id="an ignore flag"),
        pytest.param(("annotations", 1, "image_id"), 4, True, False, id="the image of an object"),
        pytest.param(("categories", 1, "name"), "wolf", True, False, id="a class name"),
        pytest.param(("categories",), [*CATEGORIES, {"id": 9, "name": "cow"}], True, False, id="a class more"),
        pytest.param(("images", 0, "file_name"), "c.png", True, True, id="an image's name"),
        pytest.param(("images",), DOCUMENT["images"][::-1], False, False, id="order of the images"),
        pytest.param(("annotations", 0, "segmentation"), [[1, 2, 3, 4, 5, 6]], False, False, id="an outline"),
    ],
)  # fmt: skip
def test_of_coco(
    tmp_path: Path, coco_set: Callable[..., Path], place: tuple[Any, ...], value: Any, annotations: bool, images: bool
) -> None:
    root = coco_set(tmp_path / "coco", DOCUMENT, DOCUMENT)
    before = coco_hashes(root)
    document = json.loads(json.dumps(DOCUMENT))
    *way, last = place
    inner = document
    for step in way:
        inner = inner[step]
    inner[last] = value
    (root / INSTANCES).write_text(json.dumps(document))
    after = coco_hashes(root)
    assert [one != other for one, other in zip(before, after, strict=True)] == [annotations, images]


def test_chosen_classes_are_read(tmp_path: Path, coco_set: Callable[..., Path]) -> None:
    root = coco_set(tmp_path / "coco", DOCUMENT, DOCUMENT)
    found = {coco_hashes(root, classes=classes)[0] for classes in (None, ["dog", "cat"], ["cat"], ["dog"])}
    assert len(found) == 4
    assert coco_hashes(root, classes=["cat", "dog"]) == coco_hashes(root)


def test_train_is_read_without_val(tmp_path: Path, coco_set: Callable[..., Path]) -> None:
    root = coco_set(
        tmp_path / "coco", DOCUMENT, DOCUMENT | {"categories": [{"id": 7, "name": "x"}, {"id": 8, "name": "y"}]}
    )
    before = coco_hashes(root)
    (root / "annotations/instances_val2017.json").unlink()
    assert coco_hashes(root) == before


def test_limits_are_part_of_what_is_read(wider: Path) -> None:
    options = ({}, {"train_images": 2}, {"held_out": 1})
    summaries = [WiderFace(wider, None, ResizeLongSide(48), **more).summary("train") for more in options]
    assert [summary["images"] for summary in summaries] == [3, 2, 2]
    for key in ("annotation_hash", "image_hash"):
        assert len({summary[key] for summary in summaries}) == 3


def test_of_nothing(tmp_path: Path) -> None:
    assert image_hash(tmp_path / "nowhere", ["a.jpg"]) is None
    assert image_hash(tmp_path, []) != image_hash(tmp_path, ["a.jpg"])
    assert annotation_hash([], ["a", "b"]) != annotation_hash([], ["ab"])
