"""Evaluation files in WIDER FACE's official layout and in COCO's, and crowded little images, made up for a test."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import Tensor

Faces = Mapping[str, Sequence[Sequence[float]]]
Counted = Mapping[str, Mapping[str, Sequence[int]]]


def cell(values: Sequence[object]) -> np.ndarray:
    """A MATLAB cell array [n, 1]."""
    array = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array


def write_ground_truth(folder: Path, faces: Faces, counted: Counted) -> Path:
    """`faces`: image id -> xywh; `counted`: setting -> image id -> 1-based numbers. A setting left out counts all."""
    events = list(dict.fromkeys(image_id.split("/")[0] for image_id in faces))
    images = [[i for i in faces if i.split("/")[0] == event] for event in events]
    names = cell([cell([i.split("/")[1] for i in event]) for event in images])
    boxes = [[np.array(faces[i], dtype=np.float64).reshape(-1, 4) for i in event] for event in images]
    savemat(
        folder / "wider_face_val.mat",
        {"event_list": cell(events), "file_list": names, "face_bbx_list": cell([cell(event) for event in boxes])},
    )
    for setting in ("easy", "medium", "hard"):
        numbers = counted.get(setting, {i: range(1, len(boxes) + 1) for i, boxes in faces.items()})
        kept = [[np.array(numbers.get(i, []), dtype=np.uint16).reshape(-1, 1) for i in event] for event in images]
        savemat(folder / f"wider_{setting}_val.mat", {"gt_list": cell([cell(event) for event in kept])})
    return folder


@pytest.fixture
def ground_truth(tmp_path: Path) -> Callable[[Faces, Counted], Path]:
    def write(faces: Faces, counted: Counted | None = None) -> Path:
        folder = tmp_path / "ground_truth"
        folder.mkdir(exist_ok=True)
        return write_ground_truth(folder, faces, counted or {})

    return write


def random_dataset(seed: int, images: int = 14) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Faces x y w h, which of them count, and predictions: equal scores, equal faces, zero sizes, ignored faces,
    duplicates, misses, images without faces and without predictions.

    Coordinates are multiples of 1/4 and scores of 1/64, so single precision holds them exactly.
    """
    rng = np.random.default_rng(seed)
    faces, found = {}, {}
    for i in range(images):
        name = f"{i % 3}--Event/{i}"
        boxes = np.concatenate([rng.integers(0, 60, (rng.integers(0, 9), 2)), np.zeros((0, 2))])
        boxes = np.concatenate([boxes, rng.integers(0, 25, (len(boxes), 2))], axis=1)
        faces[name] = np.concatenate([boxes, boxes[:1]]).tolist()
        near = boxes[np.concatenate([np.arange(len(boxes)), np.arange(len(boxes))[:1], np.arange(len(boxes))[2:3]])]
        rows = np.concatenate([near + rng.integers(-6, 7, near.shape) / 4, rng.integers(0, 40, (3, 4))])
        rows[:, 2:] = np.maximum(rows[:, 2:], 0)
        scores = (rng.integers(-20, 30, len(rows)) + 15 * (np.arange(len(rows)) < len(near))) / 64
        if i % 5:
            corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
            found[name] = {"boxes": torch.tensor(corners).float(), "scores": torch.tensor(scores).float()}
    counted = {
        setting: {i: [n + 1 for n in range(len(b)) if rng.random() < share] for i, b in faces.items()}
        for setting, share in (("easy", 0.2), ("medium", 0.5), ("hard", 0.9))
    }
    return {i: faces[i] for i in sorted(faces)}, counted, found


@pytest.fixture(scope="session")
def random_faces() -> Callable[..., Any]:
    return random_dataset


@pytest.fixture
def two_images(tmp_path: Path) -> Callable[..., Path]:
    """Image 1 with a dog of 40 x 40 and a crowd of them, image 2 with a cat; no area, segmentation or iscrowd = 0."""

    def write(**changes: Any) -> Path:
        document = {
            "images": [{"id": 1}, {"id": 2}],
            "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
            "annotations": [
                {"id": 0, "image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40]},
                {"id": 1, "image_id": 1, "category_id": 7, "bbox": [100, 0, 100, 100], "iscrowd": 1},
                {"id": 2, "image_id": 2, "category_id": 3, "bbox": [0, 0, 10, 10]},
            ],
        }
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(document | changes))
        return path

    return write
