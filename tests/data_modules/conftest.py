"""A WIDER FACE of six images, drawn by hand: four to train on (one of them without faces), two to validate on."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from data_modules.transforms import ResizeLongSide, TrainTransform
from data_modules.wider_face import WiderFace

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
def wider_face(wider_root: Path) -> Callable[..., WiderFace]:
    """Builds the data module of `wider_root`; keyword arguments override."""

    def build(**overrides: object) -> WiderFace:
        arguments = {
            "root": wider_root,
            "train_transform": TrainTransform(64),
            "eval_resize": ResizeLongSide(48),
            "batch_size": 2,
            "eval_batch_size": 2,
            "num_workers": 0,
        }
        return WiderFace(**(arguments | overrides))  # type: ignore[arg-type]

    return build
