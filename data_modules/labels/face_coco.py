"""Face labels as COCO JSON, and back without losing a digit.

One category, `face`. An annotation's `bbox` is x y w h; `iscrowd` is WIDER's invalid flag, so that COCO's evaluation
ignores the face; `keypoints` are COCO's (visibility 0 unlabelled, 1 occluded, 2 visible, from the flags -1, 0 and 1).
Three keys of this suite's own keep the rest: `attributes` (WIDER's six), `landmarks` (the 15 numbers as RetinaFace has
them) and `label_score`; an image's `zero_face` tells that a face of zeros stood for none.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_modules.errors import DataError
from data_modules.labels.coco_json import CocoFile, CocoObject, read_instances
from data_modules.labels.lines import is_image_path
from data_modules.labels.records import ATTRIBUTES, NO_ATTRIBUTES, OFFICIAL_NEGATIVE_SIZES, FaceRecord, ImageRecord

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_CATEGORY = {"id": 1, "name": "face", "supercategory": "person", "keypoints": list(POINTS), "skeleton": []}


def write_face_coco(path: Path, images: Sequence[ImageRecord]) -> None:
    """Ids count from 1 in the order of the images and of their faces."""
    document: dict[str, Any] = {
        "info": {"description": "faces"},
        "images": [_image(number, image) for number, image in enumerate(images, 1)],
        "annotations": [],
        "categories": [_CATEGORY],
    }
    for number, image in enumerate(images, 1):
        for face in image.faces:
            document["annotations"].append(_annotation(len(document["annotations"]) + 1, number, face))
    path.write_text(_dump(document) + "\n", encoding="utf-8")


def read_face_coco(path: Path) -> list[ImageRecord]:
    """The images of a COCO file with objects of one category; a `file_name` is `<event>/<name>.jpg` or `<name>.jpg`.

    Raises:
        DataError: the file is missing or is not such a file, naming the image or annotation at fault.
    """
    file = read_instances(path, Decimal, OFFICIAL_NEGATIVE_SIZES)
    used = sorted({file.categories[one.category_id] for one in file.objects})
    if len(used) > 1:
        raise DataError(f"{path}: expected objects of one category, face; found those of {', '.join(used)}")
    faces: dict[int, list[FaceRecord]] = defaultdict(list)
    for one in file.objects:
        faces[one.image_id].append(_checked_face(path, one))
    seen: set[str] = set()
    records = []
    for image_id in file.images:
        name = file.file_name(image_id)
        stem = name.rpartition(".")[0]
        if not is_image_path(name) or stem in seen:
            raise DataError(f"{path}: expected file_name to be `<event>/<name>.jpg`, each once; found {name!r}")
        seen.add(stem)
        records.append(_record(file, image_id, faces[image_id]))
    return records


def _image(number: int, image: ImageRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": number, "file_name": image.path}
    if image.size:
        entry |= {"width": image.size[0], "height": image.size[1]}
    return entry | ({"zero_face": True} if image.zero_face else {})


def _annotation(number: int, image_number: int, face: FaceRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": number,
        "image_id": image_number,
        "category_id": 1,
        "bbox": list(face.box),
        "area": face.box[2] * face.box[3],
        "iscrowd": int(face.invalid),
        "attributes": dict(zip(ATTRIBUTES, face.attributes, strict=True)),
    }
    if face.landmarks is not None:
        points = [face.landmarks[at : at + 3] for at in range(0, 15, 3)]
        shown = [(0, 0, 0) if flag < 0 else (x, y, 1 if flag == 0 else 2) for x, y, flag in points]
        entry["keypoints"] = [number for point in shown for number in point]
        entry["num_keypoints"] = sum(point[2] > 0 for point in shown)
        entry["landmarks"] = list(face.landmarks)
    return entry | ({} if face.score is None else {"label_score": face.score})


def _checked_face(path: Path, one: CocoObject) -> FaceRecord:
    try:
        return _face(one)
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError) as error:
        raise DataError(
            f"{path}, annotation {one.id}: expected five keypoints, six attributes and a score where it has them, "
            f"found {error!r}; mend it or leave the key out"
        ) from error


def _face(one: CocoObject) -> FaceRecord:
    x, y, w, h = map(Decimal, one.box)
    attributes = one.entry.get("attributes")
    if attributes is None:
        values: tuple[int, ...] = (0, 0, 0, 1, 0, 0) if one.crowd else NO_ATTRIBUTES
    else:
        values = tuple(int(attributes[name]) for name in ATTRIBUTES)
    score = one.entry.get("label_score")
    return FaceRecord((x, y, w, h), values, _landmarks(one.entry), None if score is None else Decimal(score))


def _landmarks(annotation: Mapping[str, Any]) -> tuple[Decimal, ...] | None:
    """The numbers kept as they were, or COCO's own keypoints where another program wrote the file."""
    if "landmarks" in annotation:
        kept = annotation["landmarks"]
    elif "keypoints" in annotation:
        given = annotation["keypoints"]
        points = [given[at : at + 3] for at in range(0, len(given), 3)]
        kept = [value for x, y, seen in points for value in ((x, y, seen - 1) if seen else (-1, -1, -1))]
    else:
        return None
    if len(kept) != 15:
        raise ValueError(f"{len(kept) // 3} keypoints where a face has five")
    return tuple(map(Decimal, kept))


def _record(file: CocoFile, image_id: int, faces: Sequence[FaceRecord]) -> ImageRecord:
    zero_face = bool(file.images[image_id].get("zero_face"))
    return ImageRecord(file.file_name(image_id), tuple(faces), _size(file, image_id), zero_face)


def _size(file: CocoFile, image_id: int) -> tuple[int, int] | None:
    """(W, H) where the file has both."""
    width, height = (file.images[image_id].get(key) for key in ("width", "height"))
    if width is None or height is None:
        return None
    if not all(type(side) in (int, Decimal) and side == int(side) > 0 for side in (width, height)):
        raise DataError(
            f"{file.path}, image {image_id}: expected width and height in whole pixels, found {width!r} and {height!r}"
            "; mend them or leave them out"
        )
    return int(width), int(height)


def _dump(value: Any) -> str:
    """JSON whose Decimals are written digit by digit; the json module would make floats of them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)
