"""RetinaFace label files to train on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_modules import WiderFace
from data_modules.errors import DataError
from data_modules.labels.faces import FaceImage, faces_of_labels
from data_modules.labels.retinaface_text import read_retinaface_text

Build = Callable[..., WiderFace]
LABELS = """# 0--Parade/a_1.jpg 96 80
10 12 30 36 12 14 0 20 14 1 16 20 0.0 -1 -1 -1 22 30 1 0.9
60 40 72.5 52
# 1--Handshaking/b_2.jpg
70 30 86 48 1
70 30 70 48
# 9--Elsewhere/c.jpg
1 1 2 2
"""


def read_labels(path: Path, sizes: bool = False) -> list[FaceImage]:
    return faces_of_labels(path, read_retinaface_text(path, sizes), sizes)


def test_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text(LABELS)
    first, second, third = read_labels(path)
    assert (first.image_id, first.path) == ("0--Parade/a_1", "0--Parade/a_1.jpg")
    assert first.boxes.tolist() == [[10, 12, 30, 36], [60, 40, 72.5, 52]]
    assert first.keypoints[0].tolist() == [[12, 14, 1], [20, 14, 1], [16, 20, 1], [0, 0, 0], [22, 30, 1]]
    assert not first.keypoints[1].any()
    assert first.ignore.tolist() == [False, False]
    assert second.ignore.tolist() == [True, True]  # flagged; without width
    assert len(third.boxes) == 1


def test_training_on_labels(wider_face: Build, tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text(LABELS)
    module = wider_face(annotations="retinaface", landmark_file=path)
    assert [image.image_id for image in module.files.annotated("train")] == ["0--Parade/a_1", "1--Handshaking/b_2"]
    assert [image.image_id for image in module.files.annotated("val")] == ["0--Parade/v_1", "1--Handshaking/v_2"]
    assert module.files.annotated("val")[0].boxes.tolist() == [[20, 10, 50, 45], [64, 32, 74, 42]]
    (batch,) = module.train_dataloader()
    visible = {target["image_id"]: int(target["keypoints"][..., 2].sum()) for target in batch["targets"]}
    assert visible.keys() == {"0--Parade/a_1", "1--Handshaking/b_2"}
    assert visible["1--Handshaking/b_2"] == 0


def test_labels_alone(wider_face: Build, wider_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text("# 0--Parade/v_1.jpg\n1 2 30 40\n")
    (wider_root / "wider_face_split" / "wider_face_val_bbx_gt.txt").unlink()
    module = wider_face(annotations="retinaface", landmark_file=path, val_landmark_file=path)
    assert [image.boxes.tolist() for image in module.files.annotated("val")] == [[[1, 2, 30, 40]]]


def test_boxes_as_sizes(tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text("# e/a.jpg\n449 330 122 149\n")
    (image,) = read_labels(path, sizes=True)
    np.testing.assert_array_equal(image.boxes, [[449, 330, 571, 479]])
    with pytest.raises(DataError, match="label_boxes=sizes"):
        read_labels(path)


def test_refused(wider_face: Build, tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text("# 9--Elsewhere/c.jpg\n1 1 2 2\n")
    with pytest.raises(DataError, match="found none of them among 1"):
        wider_face(annotations="retinaface", landmark_file=path).files.annotated("train")
    for wrong in ({"landmark_file": path}, {"annotations": "retinaface"}, {"label_boxes": "xywh"}):
        with pytest.raises(DataError, match=r"expected data\.landmark_file=FILE"):
            wider_face(**wrong)


@pytest.mark.parametrize(
    ("line", "path", "size"),
    [
        ("# e/a.jpg", "e/a.jpg", None),
        ("# e/a.jpg 7 9 ", "e/a.jpg", (7, 9)),
        ("# e f/a b 1.jpg", "e f/a b 1.jpg", None),
        ("# e f/a b.jpg 7 9", "e f/a b.jpg", (7, 9)),
        ("# e/a.jpg 7 9.PNG 3 4", "e/a.jpg 7 9.PNG", (3, 4)),
        ("#a.jpg", "a.jpg", None),
    ],
)
def test_names_with_spaces_and_sizes(tmp_path: Path, line: str, path: str, size: tuple[int, int] | None) -> None:
    (tmp_path / "label.txt").write_text(f"{line}\n1 1 2 2\n")
    (record,) = read_retinaface_text(tmp_path / "label.txt")
    assert (record.path, record.size, record.line) == (path, size, 1)


@pytest.mark.parametrize("line", ["#", "# e/a", "# e/a.jpg 7", "# e/a.jpg x y", "# d/e/a.jpg", "# /a.jpg"])
def test_headers_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "label.txt").write_text(f"{line}\n1 1 2 2\n")
    with pytest.raises(DataError, match=r"line 1: expected `# <event>/<name>\.jpg`"):
        read_retinaface_text(tmp_path / "label.txt")
