"""Annotations written as WIDER FACE writes them: text lists, landmark lists, and MATLAB cells of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from .labels import AnnotatedImage, Attributes, Face, counted

_ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


def write_annotations(root: Path, split: str, images: Sequence[AnnotatedImage]) -> None:
    """Write every annotation file of one split ("train" or "val") below `root`."""
    folder = root / "wider_face_split"
    folder.mkdir(parents=True, exist_ok=True)
    images = sorted(images, key=lambda image: (image.event, image.name))
    (folder / f"wider_face_{split}_bbx_gt.txt").write_text("".join(_box_lines(image) for image in images))
    (folder / f"wider_face_{split}_landmarks.txt").write_text("".join(_landmark_lines(image) for image in images))
    cells = _cells(images)
    savemat(folder / f"wider_face_{split}.mat", cells, do_compression=True)
    if split == "val":
        ground_truth = root / "eval_tools" / "ground_truth"
        ground_truth.mkdir(parents=True, exist_ok=True)
        savemat(ground_truth / "wider_face_val.mat", cells, do_compression=True)
        for setting in ("easy", "medium", "hard"):
            chosen = {**cells, "gt_list": _nested(images, lambda image, s=setting: _counted_indices(image, s))}
            savemat(ground_truth / f"wider_{setting}_val.mat", chosen, do_compression=True)


def _box_lines(image: AnnotatedImage) -> str:
    """Name, number of faces, one face a line; an image without faces has count 0 and one line of ten zeros."""
    lines = [f"{image.event}/{image.name}.jpg", str(len(image.faces))]
    lines += [" ".join(str(value) for value in (*face.box, *astuple(face.attributes))) for face in image.faces]
    if not image.faces:
        lines.append(" ".join(["0"] * 10))
    return "".join(line + "\n" for line in lines)


def _landmark_lines(image: AnnotatedImage) -> str:
    """`# <event>/<name>.jpg W H`, then x1 y1 x2 y2 and five times x y flag; -1 -1 -1 where unlabelled."""
    lines = [f"# {image.event}/{image.name}.jpg {image.width} {image.height}"]
    for face in image.faces:
        x, y, w, h = face.box
        points = ["-1 -1 -1"] * 5
        if face.landmarks is not None:
            points = [f"{px:.3f} {py:.3f} 1" for px, py in face.landmarks]
        lines.append(" ".join([f"{x} {y} {x + w} {y + h}", *points]))
    return "".join(line + "\n" for line in lines)


def _counted_indices(image: AnnotatedImage, setting: str) -> np.ndarray:
    """1-based indices of the counted faces, [K, 1]."""
    chosen = [i + 1 for i, face in enumerate(image.faces) if counted(image, face, setting)]
    return np.array(chosen, np.uint16).reshape(-1, 1)


def _cells(images: Sequence[AnnotatedImage]) -> dict[str, Any]:
    def boxes(image: AnnotatedImage) -> np.ndarray:
        faces = image.faces or (Face((0, 0, 0, 0), None, Attributes()),)  # as the text list has it
        return np.array([face.box for face in faces], np.int32)

    cells: dict[str, Any] = {
        "event_list": _column([image.event for image in _first_of_events(images)]),
        "file_list": _nested(images, lambda image: image.name),
        "face_bbx_list": _nested(images, boxes),
    }
    for name in _ATTRIBUTES:
        cells[f"{name}_label_list"] = _nested(images, lambda image, n=name: _attribute(image, n))
    return cells


def _attribute(image: AnnotatedImage, name: str) -> np.ndarray:
    values = [getattr(face.attributes, name) for face in image.faces] or [0]
    return np.array(values, np.uint8).reshape(-1, 1)


def _first_of_events(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    return list({image.event: image for image in reversed(images)}.values())[::-1]


def _nested(images: Sequence[AnnotatedImage], value: Any) -> np.ndarray:
    """Events x 1 cells, each holding images x 1 cells of `value(image)`."""
    events = [image.event for image in _first_of_events(images)]
    return _column([_column([value(image) for image in images if image.event == event]) for event in events])


def _column(values: Sequence[Any]) -> np.ndarray:
    """A MATLAB cell of one column; filled one by one, for NumPy would merge equal shapes into one array."""
    column = np.empty((len(values), 1), object)
    for i, value in enumerate(values):
        column[i, 0] = value
    return column
