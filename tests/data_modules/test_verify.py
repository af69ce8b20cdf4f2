"""`bench data verify`: what is found without memory, what with it, and what is no error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data_modules import Coco, WiderFace
from data_modules.errors import DataError
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation
from data_modules.verify import verify
from data_modules.verify.images import check_image, check_images

Build = Callable[..., WiderFace]
TEXT = "wider_face_split/wider_face_train_bbx_gt.txt"
IMAGE = "WIDER_train/images/0--Parade/a_1.jpg"


def problems(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found["kind"], found["subject"]) for split in report["splits"] for found in split["problems"]]


def details(report: dict[str, Any]) -> str:
    return "\n".join(found["detail"] for split in report["splits"] for found in split["problems"])


def flip_silently(path: Path) -> None:
    """One byte of the image data, such that the file still decodes without a complaint."""
    content = path.read_bytes()
    for at in range(len(content) // 2, len(content) - 2):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        if check_image(path).fault is None:
            return
    raise AssertionError("every flip is heard")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_sound_set_and_its_oddities(wider_face: Build, tmp_path: Path) -> None:
    report = verify(wider_face().files, tmp_path / "memory")
    assert report["ok"]
    assert report["manifest_state"] == "written"
    train, val = report["splits"]
    assert (train["images"], train["boxes"], train["ignored"]) == (4, 6, 2)
    assert (val["images"], val["boxes"], val["ignored"]) == (2, 2, 1)
    assert [(found["kind"], found["subject"]) for found in train["oddities"]] == [
        ("box without width or height", "0--Parade/a_2"),
        ("image without objects", "1--Handshaking/b_1"),
        ("box outside the image", "1--Handshaking/b_2"),  # both forms have it: 86 of 80 pixels
    ]
    assert verify(wider_face().files, tmp_path / "memory")["manifest_state"] == "compared"


def test_deleted_added_and_truncated_files_are_named_without_memory(
    wider_face: Build, wider_root: Path, tmp_path: Path
) -> None:
    (wider_root / IMAGE).unlink()
    shutil.copy(
        wider_root / "WIDER_train/images/0--Parade/a_2.jpg", wider_root / "WIDER_train/images/0--Parade/new.jpg"
    )
    last = wider_root / "WIDER_train/images/1--Handshaking/b_2.jpg"
    last.write_bytes(last.read_bytes()[:-200])
    report = verify(wider_face().files, tmp_path / "memory")
    assert not report["ok"]
    assert problems(report) == [
        ("missing", "0--Parade/a_1"),
        ("damaged", "1--Handshaking/b_2"),
        ("unlisted", "0--Parade/new.jpg"),
    ]
    assert report["manifest_state"] == "not written"
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("60 40 12 12 0 0 0 0 0 0", "60 40 13 12 0 0 0 0 0 0", 4),  # a box
        ("5 5 4 4 0 0 0 1 0 0", "5 5 4 4 0 0 0 0 0 0", 8),  # a flag
    ],
)
def test_an_edited_line_is_told_by_the_other_form(
    wider_face: Build, wider_root: Path, tmp_path: Path, old: str, new: str, line: int
) -> None:
    edit(wider_root / TEXT, old, new)
    report = verify(wider_face().files, tmp_path / "memory")
    assert [kind for kind, _ in problems(report)] == ["annotations disagree"]
    assert f"wider_face_train_bbx_gt.txt, line {line} " in details(report)


def test_an_edited_attribute_is_told_by_memory(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    verify(wider_face().files, tmp_path / "memory")
    edit(wider_root / TEXT, "60 40 12 12 0 0", "60 40 12 12 2 0")  # this .mat has no list of blur
    assert problems(verify(wider_face().files, tmp_path / "memory")) == [("annotations changed", "0--Parade/a_1")]


def test_a_line_that_is_none_is_named(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    edit(wider_root / TEXT, "60 40 12 12", "60 4O 12 12")
    report = verify(wider_face().files, tmp_path / "memory")
    assert problems(report) == [("annotations", "train")]
    assert "line 4" in details(report)


def test_an_entry_that_is_lost_leaves_an_unlisted_image(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    edit(wider_root / TEXT, "1--Handshaking/b_2.jpg\n1\n70 30 16 18 0 0 0 0 0 0 \n", "")
    assert problems(verify(wider_face().files, tmp_path / "memory")) == [("unlisted", "1--Handshaking/b_2.jpg")]


def test_a_box_outside_is_a_problem_where_one_form_alone_has_it(
    wider_face: Build, wider_root: Path, tmp_path: Path
) -> None:
    edit(wider_root / TEXT, "60 40 12 12", "90 40 12 12")  # the image is 96 wide
    (wider_root / "wider_face_split" / "wider_face_train.mat").unlink()
    report = verify(wider_face().files, tmp_path / "memory")
    assert problems(report) == [("box outside the image", image) for image in ("0--Parade/a_1", "1--Handshaking/b_2")]
    assert "box 2: 90 40 102 52 in an image of 96 x 80" in details(report)


def test_a_silent_flip_is_remembered_even_in_a_copy(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    assert verify(wider_face().files, tmp_path / "memory")["ok"]
    copy = tmp_path / "copy"
    shutil.copytree(wider_root, copy)
    flip_silently(copy / IMAGE)
    report = verify(wider_face(root=copy).files, tmp_path / "memory")
    assert problems(report) == [("changed", "0--Parade/a_1")]
    assert verify(wider_face().files, tmp_path / "memory")["ok"]  # a failed verification changes no memory
    accepted = verify(wider_face(root=copy).files, tmp_path / "memory", accept=True)
    assert (accepted["ok"], accepted["manifest_state"]) == (True, "accepted")
    assert problems(verify(wider_face().files, tmp_path / "memory")) == [("changed", "0--Parade/a_1")]


def test_a_flip_in_any_other_file_is_remembered(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    verify(wider_face().files, tmp_path / "memory")
    mat = wider_root / "wider_face_split" / "wider_face_train.mat"
    content = bytearray(mat.read_bytes())
    content[20] ^= 1  # in the comment that a .mat begins with
    mat.write_bytes(content)
    report = verify(wider_face().files, tmp_path / "memory")
    assert problems(report) == [("annotation file changed", "wider_face_split/wider_face_train.mat")]


def test_a_part_of_a_set_is_compared_with_the_whole(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    verify(wider_face().files, tmp_path / "memory")
    edit(wider_root / TEXT, "1--Handshaking/b_2.jpg\n1\n70 30 16 18 0 0 0 0 0 0 \n", "")
    (wider_root / "WIDER_train/images/1--Handshaking/b_2.jpg").unlink()
    report = verify(wider_face().files, tmp_path / "memory")
    assert report["ok"]
    assert report["splits"][0]["facts"]["images_of_the_manifest_absent"] == 1
    flip_silently(wider_root / IMAGE)
    assert problems(verify(wider_face().files, tmp_path / "memory")) == [("changed", "0--Parade/a_1")]


def test_a_given_manifest(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    with pytest.raises(DataError, match="accept=true writes it"):
        verify(wider_face().files, tmp_path / "memory", manifest=manifest)
    verify(wider_face().files, tmp_path / "memory", manifest=manifest, accept=True)
    flip_silently(wider_root / IMAGE)
    assert problems(verify(wider_face().files, tmp_path / "memory", manifest=manifest)) == [
        ("changed", "0--Parade/a_1")
    ]
    assert not (tmp_path / "memory").exists()
    manifest.write_text(json.dumps({"format": 1, "dataset": "coco", "splits": {}}))
    with pytest.raises(DataError, match="manifest of wider_face"):
        verify(wider_face().files, tmp_path / "memory", manifest=manifest)
    manifest.write_text("[]")
    with pytest.raises(DataError, match="expected a manifest of wider_face"):
        verify(wider_face().files, tmp_path / "memory", manifest=manifest)


def test_all_images_of_the_matlab_form(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    (wider_root / TEXT).unlink()
    report = verify(wider_face(images="all").files, tmp_path / "memory")
    assert [(split["images"], split["boxes"]) for split in report["splits"]] == [(4, 6), (2, 2)]
    assert report["ok"]


def test_no_folder(wider_face: Build, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        verify(wider_face(root=tmp_path / "absent").files, tmp_path / "memory")


def test_what_the_decoder_complains_about(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    sound = check_image(path)
    assert (sound.size, sound.fault) == ((64, 64), None)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 600] + content[-2:])  # data is missing before the end marker
    assert "premature end" in str(check_image(path).fault)


def test_processes_give_what_one_does(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(130)]
    for number, path in enumerate(paths[:-1]):
        cv2.imwrite(str(path), np.full((4, 4 + number % 3, 3), number, np.uint8))
    alone = list(check_images(paths, 1, ""))
    assert list(check_images(paths, 2, "")) == alone
    assert alone[-1].sha256 is None
    assert "found none" in str(alone[-1].fault)


def write_coco_set(root: Path) -> Path:
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / f"{split}2017").mkdir()
        rng = np.random.default_rng(0)
        images, annotations = [], []
        for number in (1, 2):
            cv2.imwrite(str(root / f"{split}2017/{number}.jpg"), rng.integers(0, 256, (40, 60, 3), np.uint8))
            images.append({"id": number, "file_name": f"{number}.jpg", "width": 60, "height": 40})
            x = 5.5 * number
            outline = [[x, 4.0, x + 20.25, 4.0, x + 20.25, 30.0, x, 30.0]]
            annotations.append(
                {"id": number, "image_id": 1, "category_id": 7, "bbox": [x, 4.0, 20.25, 26.0]}
                | {"area": 526.5, "iscrowd": 0, "segmentation": outline}
            )
        document = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "thing"}]}
        (root / f"annotations/instances_{split}2017.json").write_text(json.dumps(document))
    return root


def coco(root: Path) -> Coco:
    return Coco(root, SquareCropAugmentation(64), ResizeLongSide(48))


def test_coco(tmp_path: Path) -> None:
    root = write_coco_set(tmp_path / "coco")
    report = verify(coco(root).files, tmp_path / "memory")
    assert report["ok"]
    assert report["splits"][1]["facts"] == {"annotations": 2, "categories": 1, "categories_used": 1, "crowds": 0}
    assert [found["kind"] for found in report["splits"][1]["oddities"]] == ["image without objects"]
    annotations = root / "annotations/instances_val2017.json"
    edit(annotations, '"bbox": [11.0,', '"bbox": [12.0,')
    report = verify(coco(root).files, tmp_path / "elsewhere")
    assert problems(report) == [("box and outline differ", "1")]
    assert "annotation 2: bbox" in details(report)
    edit(annotations, '"bbox": [12.0,', '"bbox": [11.0,')
    annotations.write_text(annotations.read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1))
    assert problems(verify(coco(root).files, tmp_path / "memory")) == [("annotations changed", "1")]
    annotations.write_text(annotations.read_text().replace('"iscrowd": 1', '"iscrowd": 0').replace("thing", "thong"))
    assert problems(verify(coco(root).files, tmp_path / "memory")) == [
        ("annotation file changed", "instances_val2017.json")
    ]
    annotations.write_text(annotations.read_text().replace("thong", "thing").replace('"width": 60', '"width": 61', 1))
    assert ("size", "1") in problems(verify(coco(root).files, tmp_path / "elsewhere"))


def test_the_real_subset(shared: Path, tmp_path: Path) -> None:
    wider = WiderFace(shared / "data" / "wider_face", SquareCropAugmentation(64), ResizeLongSide(48))
    (report,) = verify(wider.files, tmp_path / "memory", splits=("val",))["splits"]
    assert (report["images"], report["problems"]) == (394, [])
    assert [found["subject"] for found in report["oddities"]] == [
        "0--Parade/0_Parade_Parade_0_275",
        "0--Parade/0_Parade_Parade_0_317",
    ]
    copy = tmp_path / "coco"
    shutil.copytree(shared / "data" / "coco", copy)
    first = verify(coco(copy).files, tmp_path / "memory")
    assert first["ok"]
    assert [split["images"] for split in first["splits"]] == [80, 158]
    assert first["splits"][1]["facts"] == {"annotations": 1424, "categories": 80, "categories_used": 80, "crowds": 16}
    flipped = copy / "val2017" / "000000000139.jpg"
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 0xFF
    flipped.write_bytes(content)
    (copy / "val2017" / "000000000802.jpg").unlink()
    found = problems(verify(coco(copy).files, tmp_path / "memory", splits=("val",)))
    assert ("changed", "139") in found
    assert ("missing", "802") in found
