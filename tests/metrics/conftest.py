"""Evaluation files in WIDER FACE's official layout, made up for a test."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

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
