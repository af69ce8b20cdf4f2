"""Label converters: every way there and back, digit by digit."""

import json
import logging
from itertools import permutations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data_modules.convert import convert
from data_modules.errors import DataError
from data_modules.labels.retinaface_text import read_retinaface_text
from data_modules.labels.wider_text import read_wider_records

WIDER = """0--Parade/a.b.jpg
3
10 20 30 40 2 1 0 0 1 1 
1 2 3 4 0 0 0 1 0 0 
5.25 6.1 7.3 0.1 0 0 0 0 0 0 
1--Hand/none.jpg
0
0 0 0 0 0 0 0 0 0 0 
1--Hand/zero.jpg
1
0 0 0 0 0 0 0 0 0 0 
"""
RETINAFACE = """# 0--Parade/a.jpg 100 80
10.1 20 20.3 60 1 2 0 3 4 1 5.5 6 1 -1 -1 -1 9 10 0
1 1 5 5
2 2 5 5 1
# 1--Hand/none.jpg 7 9
# 1--Hand/b.jpg
449 330 571 479 488.906 373.643 0.0 542.089 376.442 0.0 515.031 412.83 0.0 485.174 425.893 0.0 538.357 431.491 0.0 0.82
"""


def coco(**changes: Any) -> str:
    """A COCO file of one image with one face, under changes of the one or the other."""
    of_image = {key: changes.pop(key) for key in ("file_name", "width", "height") if key in changes}
    document = {
        "images": [{"id": 4, "file_name": "e/a.jpg"} | of_image],
        "annotations": [{"id": 9, "image_id": 4, "category_id": 1, "bbox": [1, 2, 3, 4]} | changes],
        "categories": [{"id": 1, "name": "face"}],
    }
    return json.dumps(document)


@pytest.mark.parametrize("middle", ["coco", "retinaface"])
def test_wider_there_and_back(tmp_path: Path, middle: str) -> None:
    source = tmp_path / "gt.txt"
    source.write_text(WIDER)
    counted = convert(source, tmp_path / "middle", output_format=middle)
    assert counted == {"from": "wider", "to": middle, "images": 3, "faces": 3, "landmarks_left_out": 0}
    convert(tmp_path / "middle", tmp_path / "back_bbx_gt.txt")
    assert (tmp_path / "back_bbx_gt.txt").read_text() == WIDER


def test_retinaface_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "label.txt").write_text(RETINAFACE)
    convert(tmp_path / "label.txt", tmp_path / "faces.json")
    convert(tmp_path / "faces.json", tmp_path / "back_label.txt")
    assert (tmp_path / "back_label.txt").read_text() == RETINAFACE


def test_all_three_in_any_order(tmp_path: Path) -> None:
    """What starts as WIDER text comes back as itself whichever forms lie between."""
    for number, order in enumerate(permutations(("retinaface", "coco", "wider"))):
        (tmp_path / "0").write_text(WIDER)
        for step, form in enumerate((*order, "wider"), 1):
            convert(tmp_path / str(step - 1), tmp_path / str(step), output_format=form)
        assert (tmp_path / "4").read_text() == WIDER, number


def test_coco_by_hand(tmp_path: Path) -> None:
    (tmp_path / "label.txt").write_text(RETINAFACE)
    convert(tmp_path / "label.txt", tmp_path / "faces.json")
    document = json.loads((tmp_path / "faces.json").read_text())
    assert document["images"][0] == {"id": 1, "file_name": "0--Parade/a.jpg", "width": 100, "height": 80}
    first, second, third, fourth = document["annotations"]
    assert first["bbox"] == [10.1, 20, 10.2, 40]  # not 10.200000000000001
    assert first["keypoints"] == [1, 2, 1, 3, 4, 2, 5.5, 6, 2, 0, 0, 0, 9, 10, 1]
    assert first["num_keypoints"] == 4
    assert "keypoints" not in second
    assert [first["iscrowd"], second["iscrowd"], third["iscrowd"]] == [0, 0, 1]
    assert (fourth["image_id"], fourth["label_score"]) == (3, 0.82)
    assert document["categories"][0]["name"] == "face"


def test_coco_of_another_program(tmp_path: Path) -> None:
    annotation = {"id": 9, "image_id": 4, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 1}
    keypoints = [1, 2, 2, 3, 4, 1, 0, 0, 0, 5, 6, 2, 7, 8, 2]
    document = {
        "images": [{"id": 4, "file_name": "e/a.jpg"}],
        "annotations": [annotation, annotation | {"id": 10, "iscrowd": 0, "keypoints": keypoints}],
        "categories": [{"id": 3, "name": "face"}],
    }
    (tmp_path / "faces.json").write_text(json.dumps(document))
    convert(tmp_path / "faces.json", tmp_path / "label.txt")
    assert (tmp_path / "label.txt").read_text().splitlines() == [
        "# e/a.jpg",
        "1 2 4 6 1",
        "1 2 4 6 1 2 1 3 4 0 -1 -1 -1 5 6 1 7 8 1",
    ]


def test_landmarks_that_are_left_out_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "label.txt").write_text(RETINAFACE)
    with caplog.at_level(logging.WARNING):
        done = convert(tmp_path / "label.txt", tmp_path / "bbx_gt.txt")
    assert done["landmarks_left_out"] == 2
    assert "landmarks of 2 faces" in caplog.text


def test_sizes_of_images_and_of_boxes(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    cv2.imwrite(str(tmp_path / "e" / "a.png"), np.zeros((5, 7, 3), np.uint8))
    (tmp_path / "label.txt").write_text("# e/a.png\n10 20 3 4\n")
    convert(tmp_path / "label.txt", tmp_path / "out_label.txt", source_format="retinaface_sizes", images=tmp_path)
    assert (tmp_path / "out_label.txt").read_text() == "# e/a.png 7 5\n10 20 13 24\n"
    (tmp_path / "e" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a.png for its size"):
        convert(tmp_path / "label.txt", tmp_path / "out.json", images=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gt.txt", "e/a.jpg\n1\n1 2 3 4 0 0 0 0.5 0 0\n", "line 3: expected face 1 of 1 of e/a.jpg as ten numbers"),
        ("gt.txt", "e/a.jpg\n0\ne/a.jpg\n0\n", "line 3: expected every image once"),
        ("gt.txt", "e/a.jpg\n1\n1 2 -3 4 0 0 0 0 0 0\n", "line 3: .* width and a height of 0 or more"),
        ("gt.txt", "", "found an empty file"),
        ("label.txt", "# e/a.jpg 7\n", "line 1"),
        ("label.txt", "# e/a.jpg\n1 2 3 4 5 6\n", "line 2: expected a face as"),
        ("label.txt", "# e/a.jpg\n1 2 3 4 2\n", "line 2: expected 0 or 1"),
        ("a.json", "{}", "a list `categories`, found none"),
        ("a.json", coco(image_id=3), "annotation 9: expected the image_id .* found 3"),
        ("a.json", coco(keypoints=[1, 2, 2]), "annotation 9: expected five keypoints"),
        ("a.json", coco(attributes={"blur": 1}), "annotation 9: .* six attributes"),
        ("a.json", coco(label_score="high"), "annotation 9: .* a score"),
        ("a.json", coco(bbox=[1, 2, -3, 4]), "annotation 9: .* width and a height of 0 or more"),
        ("a.json", coco(file_name="d/e/a.jpg"), "file_name to be `<event>/<name>.jpg`"),
        ("a.json", coco(width=7.5, height=6), "image 4: expected width and height in whole pixels"),
        ("absent.txt", None, "expected a label file"),
    ],
)
def test_refused(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        convert(tmp_path / name, tmp_path / "out.json")


def test_formats_and_files_refused(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(WIDER)
    with pytest.raises(DataError, match="to_format"):
        convert(tmp_path / "gt.txt", tmp_path / "out.txt")
    with pytest.raises(DataError, match="found `yolo`"):
        convert(tmp_path / "gt.txt", tmp_path / "out.txt", output_format="yolo")
    with pytest.raises(DataError, match="for both"):
        convert(tmp_path / "gt.txt", tmp_path / "gt.txt", output_format="wider")


def test_real_annotations_byte_for_byte(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "wider_face" / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    convert(source, tmp_path / "faces.json")
    convert(tmp_path / "faces.json", tmp_path / "label.txt")
    convert(tmp_path / "label.txt", tmp_path / "again.json")
    convert(tmp_path / "again.json", tmp_path / "bbx_gt.txt")
    assert (tmp_path / "bbx_gt.txt").read_bytes() == source.read_bytes()
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "faces.json").read_bytes()
    assert [image.faces for image in read_retinaface_text(tmp_path / "label.txt")] == [
        image.faces for image in read_wider_records(source)
    ]


def test_the_official_negative_width_there_and_back(tmp_path: Path) -> None:
    source = tmp_path / "gt.txt"
    source.write_text("7--Cheering/7_Cheering_Cheering_7_17.jpg\n1\n0 5 -11 5 0 0 0 0 0 0 \n")
    convert(source, tmp_path / "faces.json")
    convert(tmp_path / "faces.json", tmp_path / "label.txt")
    convert(tmp_path / "label.txt", tmp_path / "bbx_gt.txt")
    assert (tmp_path / "bbx_gt.txt").read_text() == source.read_text()


def test_one_category_has_the_faces(tmp_path: Path) -> None:
    """Exports list categories that nothing belongs to."""
    document = json.loads(coco()) | {"categories": [{"id": 0, "name": "people"}, {"id": 1, "name": "face"}]}
    (tmp_path / "faces.json").write_text(json.dumps(document))
    assert convert(tmp_path / "faces.json", tmp_path / "label.txt")["faces"] == 1
    document["annotations"].append(document["annotations"][0] | {"id": 10, "category_id": 0})
    (tmp_path / "faces.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="objects of one category, face; found those of face, people"):
        convert(tmp_path / "faces.json", tmp_path / "label.txt")
