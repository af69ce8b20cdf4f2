"""A WIDER FACE of six images, drawn by hand: four to train on (one of them without faces), two to validate on.

And the writers of other small sets, for tests that need sets of their own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from data_modules import WiderFace
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation

Faces = list[tuple[int, int, int, int, int]]  # x y w h invalid
TRAIN: dict[str, Faces] = {
    "0--Parade/a_1.jpg": [(10, 12, 20, 24, 0), (60, 40, 12, 12, 0)],
    "0--Parade/a_2.jpg": [(30, 20, 40, 40, 0), (5, 5, 4, 4, 1), (50, 50, 0, 7, 0)],
    "1--Handshaking/b_1.jpg": [],
    "1--Handshaking/b_2.jpg": [(70, 30, 16, 18, 0)],
}
VAL: dict[str, Faces] = {
    "0--Parade/v_1.jpg": [(20, 10, 30, 35, 0), (64, 32, 10, 10, 1)],
    "1--Handshaking/v_2.jpg": [],
}


def text_of(images: dict[str, Faces]) -> str:
    lines = []
    for name, faces in images.items():
        lines += [name, str(len(faces))]
        lines += [f"{x} {y} {w} {h} 0 0 0 {invalid} 0 0 " for x, y, w, h, invalid in faces] or ["0 " * 10]
    return "\n".join(lines) + "\n"


def cell(values: list) -> np.ndarray:
    column = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        column[row, 0] = value
    return column


def write_mat(path: Path, images: dict[str, Faces]) -> None:
    events = sorted({name.split("/")[0] for name in images})
    of = [[(name, faces) for name, faces in images.items() if name.startswith(event + "/")] for event in events]
    table = {
        "event_list": cell(list(events)),
        "file_list": cell([cell([name.split("/")[1][:-4] for name, _ in rows]) for rows in of]),
        "face_bbx_list": cell(
            [cell([np.array([f[:4] for f in faces] or [[0] * 4]) for _, faces in rows]) for rows in of]
        ),
        "invalid_label_list": cell(
            [cell([np.array([[f[4]] for f in faces] or [[0]]) for _, faces in rows]) for rows in of]
        ),
    }
    savemat(path, table)


def write_wider_face(root: Path, train: dict[str, Faces] = TRAIN, val: dict[str, Faces] = VAL) -> None:
    """The official layout, with images of noise: 96 x 80 pixels (width x height), every second one 80 x 96."""
    rng = np.random.default_rng(7)
    split_folder, ground_truth = root / "wider_face_split", root / "eval_tools" / "ground_truth"
    split_folder.mkdir(parents=True)
    ground_truth.mkdir(parents=True)
    for split, images in (("train", train), ("val", val)):
        (split_folder / f"wider_face_{split}_bbx_gt.txt").write_text(text_of(images))
        write_mat(split_folder / f"wider_face_{split}.mat", images)
        for number, name in enumerate(images):
            path = root / f"WIDER_{split}" / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = ((80, 96), (96, 80))[number % 2]
            cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    write_mat(ground_truth / "wider_face_val.mat", val)
    for setting in ("easy", "medium", "hard"):
        savemat(ground_truth / f"wider_{setting}_val.mat", {"gt_list": cell(counted_faces(val))})


def counted_faces(images: dict[str, Faces]) -> list[np.ndarray]:
    """Of each event the numbers, from 1, of the faces that are not invalid."""
    events = sorted({name.split("/")[0] for name in images})
    of = [[faces for name, faces in images.items() if name.startswith(event + "/")] for event in events]
    return [cell([np.array([[n] for n, f in enumerate(faces, 1) if not f[4]]) for faces in rows]) for rows in of]


def write_coco(root: Path, train: dict[str, Any], val: dict[str, Any]) -> Path:
    """COCO's layout, with images of noise: 96 x 80 pixels."""
    rng = np.random.default_rng(3)
    (root / "annotations").mkdir(parents=True)
    for split, document in (("train", train), ("val", val)):
        (root / f"{split}2017").mkdir()
        for image in document["images"]:
            pixels = rng.integers(0, 256, (80, 96, 3), dtype=np.uint8)
            cv2.imwrite(str(root / f"{split}2017" / image["file_name"]), pixels)
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))
    return root


@pytest.fixture
def wider_root(tmp_path: Path) -> Path:
    root = tmp_path / "wider"
    write_wider_face(root)
    return root


@pytest.fixture
def wider_root_of_six(tmp_path: Path) -> Path:
    """Six training images with faces."""
    root = tmp_path / "six"
    write_wider_face(root, TRAIN | {f"2--Work/c_{number}.jpg": [(30, 30, 20, 20, 0)] for number in range(3)})
    return root


@pytest.fixture
def wider_set() -> Callable[..., None]:
    """Writes a WIDER FACE: `wider_set(root, train={path: faces}, val={path: faces})`."""
    return write_wider_face


@pytest.fixture
def coco_set() -> Callable[..., Path]:
    """Writes a COCO: `coco_set(root, train document, val document)`."""
    return write_coco


@pytest.fixture
def wider_face(wider_root: Path) -> Callable[..., WiderFace]:
    """Builds the data module of `wider_root`; keyword arguments override."""

    def build(**overrides: object) -> WiderFace:
        arguments = {
            "root": wider_root,
            "train_transform": SquareCropAugmentation(64),
            "eval_resize": ResizeLongSide(48),
            "batch_size": 2,
            "eval_batch_size": 2,
            "num_workers": 0,
        }
        return WiderFace(**(arguments | overrides))  # type: ignore[arg-type]

    return build
