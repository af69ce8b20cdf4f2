"""WIDER FACE's evaluation files (http://shuoyang1213.me/WIDERFACE) as flat arrays.

`wider_face_val.mat` lists every face, `wider_{easy,medium,hard}_val.mat` which of them count in that setting; both are
read by the parsers of `data_modules.labels`.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from data_modules.labels import DataError
from data_modules.labels.wider_mat import read_counted, read_tables

SETTINGS = ("easy", "medium", "hard")
FILES = ("wider_face_val.mat", *(f"wider_{setting}_val.mat" for setting in SETTINGS))


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


def ground_truth_of(truth: str | Path | Mapping[str, Any], images: Sequence[str] | None = None) -> WiderGroundTruth:
    """The faces that a truth describes, restricted to `images` where they are named.

    Raises:
        GroundTruthError: a truth without WIDER FACE's form, or what reading it raises.
    """
    form: Mapping[str, Any] = {"folder": truth} if isinstance(truth, str | Path) else truth.get("wider_face", {})
    if not form:
        raise GroundTruthError(
            "expected data with WIDER FACE's truth (faces with easy, medium and hard), found data without; "
            "choose a protocol whose evaluators fit it, such as protocol=coco_val"
        )
    if "folder" not in form:
        found = WiderGroundTruth.of_arrays(form["image_ids"], form["boxes"], form["counted"])
    else:
        found = read_wider_ground_truth(form["folder"])
    wanted = images if images is not None else form.get("images")
    return found if wanted is None else found.restrict(wanted)


def read_wider_ground_truth(folder: str | Path) -> WiderGroundTruth:
    """Read the four .mat files of the official `eval_tools/ground_truth` folder, once as long as they do not change.

    Raises:
        GroundTruthError: a file is missing or unreadable, or the files contradict each other.
    """
    files = [Path(folder) / name for name in FILES]
    stats = [file.stat() if file.is_file() else None for file in files]
    return _read(
        Path(folder), tuple(stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats)
    )


@functools.lru_cache(4)
def _read(folder: Path, stamps: tuple[Any, ...]) -> WiderGroundTruth:
    """`stamps` tell when the files have changed; None stands for a file that is missing."""
    if None in stamps:
        missing = folder / FILES[stamps.index(None)]
        raise GroundTruthError(
            f"expected WIDER FACE's evaluation file at {missing}, found none; "
            "point ground_truth at the folder that holds wider_face_val.mat and wider_{easy,medium,hard}_val.mat"
        )
    try:
        tables = read_tables(folder / FILES[0], attributes=())
        numbers = [read_counted(folder / name) for name in FILES[1:]]
    except DataError as error:
        raise GroundTruthError(f"{error}; {_MEND}") from error
    image_ids = tuple(path.removesuffix(".jpg") for path in tables)
    xywh = np.concatenate(list(tables.values()))[:, :4]
    offsets = _offsets(np.array([len(table) for table in tables.values()]))
    return WiderGroundTruth(
        image_ids=image_ids,
        boxes=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        offsets=offsets,
        counted={
            setting: _counted(folder / name, found, image_ids, offsets)
            for setting, name, found in zip(SETTINGS, FILES[1:], numbers, strict=True)
        },
    )


_MEND = "copy the official eval_tools/ground_truth folder again"


def _counted(
    path: Path, numbers: Sequence[NDArray[np.int64]], image_ids: tuple[str, ...], offsets: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """[F] mask of the faces a setting counts, from their numbers within each image, which begin at 1."""
    if len(numbers) != len(image_ids):
        raise GroundTruthError(f"{path}: expected {len(image_ids)} images, found {len(numbers)}; {_MEND}")
    mask = np.zeros(offsets[-1], dtype=np.bool_)
    for i, own in enumerate(numbers):
        faces = offsets[i + 1] - offsets[i]
        if own.size and (own.min() < 1 or own.max() > faces or len(np.unique(own)) != own.size):
            raise GroundTruthError(
                f"{path}: {image_ids[i]}: expected distinct face numbers between 1 and {faces}, "
                f"found {own.tolist()}; {_MEND}"
            )
        mask[offsets[i] + own - 1] = True
    return mask


def _faces(image_id: str, rows: NDArray[Any]) -> NDArray[np.float64]:
    """The faces [N, 4] of one image, checked."""
    faces = np.asarray(rows, np.float64)
    if faces.size and (faces.shape != (len(faces), 4) or not np.isfinite(faces).all()):
        raise GroundTruthError(f"{image_id}: expected faces [N, 4] of finite numbers, found {faces.tolist()}")
    return faces.reshape(-1, 4)


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
