"""WIDER FACE's evaluation files (http://shuoyang1213.me/WIDERFACE) as flat arrays.

`wider_face_val.mat` lists events, images and every face (x, y, w, h); `wider_{easy,medium,hard}_val.mat` list, per
image, the 1-based indices of the faces that count in that setting. All are MATLAB cells inside cells.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from bench.errors import BenchError

SETTINGS = ("easy", "medium", "hard")
FACES_FILE = "wider_face_val.mat"


class GroundTruthError(BenchError):
    """Evaluation files that are missing, damaged, or do not fit each other."""


@dataclass(frozen=True, eq=False)
class WiderGroundTruth:
    """Every face of I images, F faces in all; image i owns the faces `offsets[i]` up to `offsets[i + 1]`.

    Faces of zero (or, in three places, negative) size are kept, as the official evaluator keeps them.
    """

    image_ids: tuple[str, ...]  # "<event>/<file stem>"
    boxes: NDArray[np.float64]  # [F, 4] xyxy pixels
    offsets: NDArray[np.int64]  # [I + 1]
    counted: Mapping[str, NDArray[np.bool_]]  # setting -> [F]; a face that is not counted is ignored

    @classmethod
    def of_arrays(
        cls, image_ids: Sequence[str], boxes: Sequence[NDArray[Any]], counted: Mapping[str, Sequence[NDArray[Any]]]
    ) -> "WiderGroundTruth":
        """From the faces of each image: `boxes` [N, 4] xyxy, and for each setting which of them count, bool [N].

        Raises:
            GroundTruthError: an image twice, none at all, or arrays that do not fit each other.
        """
        if not image_ids or len(set(image_ids)) != len(image_ids) or len(boxes) != len(image_ids):
            raise GroundTruthError(
                f"expected images, each once, with the faces of each; found {len(image_ids)} images, "
                f"{len(set(image_ids))} of them distinct, and {len(boxes)} lists of faces"
            )
        faces = [_faces(image_id, rows) for image_id, rows in zip(image_ids, boxes, strict=True)]
        counts = [len(rows) for rows in faces]
        for setting, masks in counted.items():
            if [len(mask) for mask in masks] != counts:
                raise GroundTruthError(
                    f"expected for each face of every image whether it counts as {setting}, found other numbers of both"
                )
        if not counted:
            raise GroundTruthError("expected a setting that tells which faces count, found none")
        flat = {name: np.concatenate([np.asarray(mask, np.bool_) for mask in masks]) for name, masks in counted.items()}
        return cls(tuple(image_ids), np.concatenate(faces), _offsets(np.array(counts)), flat)

    def content_hash(self) -> str:
        """16 hexadecimal digits of images, faces and what each setting counts; the order of the images is free."""
        digest = hashlib.sha256("\n".join(sorted(self.counted)).encode())
        for i in np.argsort(np.array(self.image_ids)):
            begin, end = self.offsets[i : i + 2]
            digest.update(f"\n{self.image_ids[i]} {end - begin}\n".encode())
            digest.update(self.boxes[begin:end].astype("<f8").tobytes())
            for setting in sorted(self.counted):
                digest.update(self.counted[setting][begin:end].astype(np.uint8).tobytes())
        return digest.hexdigest()[:16]

    def restrict(self, images: Sequence[str]) -> "WiderGroundTruth":
        """Only these images, in the order given; repeated names count once.

        Raises:
            GroundTruthError: an unknown image, or none at all.
        """
        wanted = tuple(dict.fromkeys(images))
        position = {image_id: i for i, image_id in enumerate(self.image_ids)}
        unknown = [image_id for image_id in wanted if image_id not in position]
        if unknown:
            raise GroundTruthError(
                f"expected images of the ground truth (<event>/<file stem>, such as {self.image_ids[0]!r}), "
                f"found {len(unknown)} unknown ones, the first {unknown[0]!r}; correct the list of images"
            )
        if not wanted:
            raise GroundTruthError("expected images to evaluate, found an empty list; pass None for all images")
        rows = np.array([position[image_id] for image_id in wanted])
        faces = np.concatenate([np.arange(self.offsets[i], self.offsets[i + 1]) for i in rows])
        return WiderGroundTruth(
            image_ids=wanted,
            boxes=self.boxes[faces],
            offsets=_offsets(np.diff(self.offsets)[rows]),
            counted={setting: mask[faces] for setting, mask in self.counted.items()},
        )


def read_wider_ground_truth(folder: str | Path) -> WiderGroundTruth:
    """Read the four .mat files of the official `eval_tools/ground_truth` folder.

    Raises:
        GroundTruthError: a file is missing or unreadable, or the files contradict each other.
    """
    folder = Path(folder)
    faces = _load(folder / FACES_FILE, ("event_list", "file_list", "face_bbx_list"))
    names = [_cells(event) for event in _cells(faces["file_list"])]
    events = [_text(cell, folder / FACES_FILE) for cell in _cells(faces["event_list"])]
    if len(events) != len(names):
        raise GroundTruthError(
            f"{folder / FACES_FILE}: expected as many events in file_list as in event_list ({len(events)}), "
            f"found {len(names)}; {_MEND}"
        )
    image_ids = tuple(
        f"{event}/{_text(name, folder / FACES_FILE)}"
        for event, cells in zip(events, names, strict=True)
        for name in cells
    )
    if len(set(image_ids)) != len(image_ids) or not image_ids:
        raise GroundTruthError(f"{folder / FACES_FILE}: expected images, each listed once; {_MEND}")
    boxes = _per_image(faces["face_bbx_list"], image_ids, folder / FACES_FILE)
    for image_id, cell in zip(image_ids, boxes, strict=True):
        if cell.size and (cell.ndim != 2 or cell.shape[1] != 4):
            raise GroundTruthError(f"{folder / FACES_FILE}: {image_id}: expected faces [N, 4], found {cell.shape}")
    xywh = np.concatenate([cell.reshape(-1, 4).astype(np.float64) for cell in boxes])
    offsets = _offsets(np.array([cell.size // 4 for cell in boxes]))
    return WiderGroundTruth(
        image_ids=image_ids,
        boxes=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        offsets=offsets,
        counted={name: _counted(folder / f"wider_{name}_val.mat", image_ids, offsets) for name in SETTINGS},
    )


_MEND = "copy the official eval_tools/ground_truth folder again"


def _counted(path: Path, image_ids: tuple[str, ...], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[F] mask of the faces a setting counts; indices in the file are 1-based within their image."""
    mask = np.zeros(offsets[-1], dtype=np.bool_)
    cells = _per_image(_load(path, ("gt_list",))["gt_list"], image_ids, path)
    for i, cell in enumerate(cells):
        index = cell.ravel().astype(np.int64) - 1
        faces = offsets[i + 1] - offsets[i]
        if index.size and (index.min() < 0 or index.max() >= faces or len(np.unique(index)) != index.size):
            raise GroundTruthError(
                f"{path}: {image_ids[i]}: expected distinct face numbers between 1 and {faces}, "
                f"found {(index + 1).tolist()}; {_MEND}"
            )
        mask[offsets[i] + index] = True
    return mask


def _load(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        raise GroundTruthError(
            f"expected WIDER FACE's evaluation file at {path}, found none; "
            "point ground_truth at the folder that holds wider_face_val.mat and wider_{easy,medium,hard}_val.mat"
        )
    try:
        content: dict[str, Any] = loadmat(str(path), variable_names=list(keys))
    except Exception as error:  # SciPy raises many kinds for a damaged file; all mean the same to the reader
        raise GroundTruthError(f"{path}: expected a MATLAB file, found {error}; {_MEND}") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise GroundTruthError(f"{path}: expected the variables {list(keys)}, missing {missing}; {_MEND}")
    return content


def _per_image(nested: NDArray[Any], image_ids: tuple[str, ...], path: Path) -> list[NDArray[Any]]:
    cells = [cell for event in _cells(nested) for cell in _cells(event)]
    if len(cells) != len(image_ids):
        raise GroundTruthError(f"{path}: expected {len(image_ids)} images, found {len(cells)}; {_MEND}")
    return cells


def _cells(value: NDArray[Any]) -> list[NDArray[Any]]:
    """The elements of a MATLAB cell array, whichever way it lies."""
    return list(value.ravel()) if value.dtype == object else []


def _text(cell: NDArray[Any], path: Path) -> str:
    if cell.dtype.kind != "U" or cell.size != 1:
        raise GroundTruthError(f"{path}: expected the name of an event or image, found {cell!r}; {_MEND}")
    return str(cell.item())


def _faces(image_id: str, rows: NDArray[Any]) -> NDArray[np.float64]:
    """The faces [N, 4] of one image, checked."""
    faces = np.asarray(rows, np.float64)
    if faces.size and (faces.shape != (len(faces), 4) or not np.isfinite(faces).all()):
        raise GroundTruthError(f"{image_id}: expected faces [N, 4] of finite numbers, found {faces.tolist()}")
    return faces.reshape(-1, 4)


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
