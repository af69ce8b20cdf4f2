"""Face labels as COCO JSON, and back without losing a digit.

One category, `face`. An annotation's `bbox` is x y w h; `iscrowd` is WIDER's invalid flag, so that COCO's evaluation
ignores the face; `keypoints` are COCO's (visibility 0 unlabelled, 1 occluded, 2 visible, from the flags -1, 0 and 1).
Three keys of this suite's own keep the rest: `attributes` (WIDER's six), `landmarks` (the 15 numbers as RetinaFace has
them) and `label_score`; an image's `zero_face` tells that a face of zeros stood for none.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_modules.annotations import is_image_path
from data_modules.errors import DataError
from data_modules.face_records import ATTRIBUTES, NO_ATTRIBUTES, FaceRecord, ImageRecord

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_CATEGORY = {"id": 1, "name": "face", "supercategory": "person", "keypoints": list(POINTS), "skeleton": []}


def write_coco(path: Path, images: Sequence[ImageRecord]) -> None:
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


def read_coco(path: Path) -> list[ImageRecord]:
    """The images of a COCO file of one category whose `file_name`s are `<event>/<name>.jpg`.

    Raises:
        DataError: the file is missing, is not such a file, or has annotations of an image that it does not list.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        images, annotations, categories = (document[key] for key in ("images", "annotations", "categories"))
        faces: dict[int, list[FaceRecord]] = defaultdict(list)
        for annotation in annotations:
            faces[annotation["image_id"]].append(_face(annotation))
        records = [_record(image, faces.pop(image["id"], [])) for image in images]
    except OSError as error:
        raise DataError(f"expected the COCO file {path}, found none that can be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected COCO JSON (images, annotations, categories); found {error!r}") from error
    if len(categories) != 1:
        raise DataError(f"{path}: expected one category, face; found {len(categories)}")
    for record in records:
        if not is_image_path(record.path):
            raise DataError(f"{path}: expected file_name to be `<event>/<name>.jpg`; found {record.path!r}")
    if faces:
        raise DataError(
            f"{path}: expected every annotation's image among the images; found none of id {next(iter(faces))}"
        )
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


def _face(annotation: dict[str, Any]) -> FaceRecord:
    x, y, w, h = map(Decimal, annotation["bbox"])
    attributes = annotation.get("attributes")
    if attributes is None:
        values = (0, 0, 0, 1, 0, 0) if annotation.get("iscrowd") else NO_ATTRIBUTES
    else:
        values = tuple(int(attributes[name]) for name in ATTRIBUTES)
    score = annotation.get("label_score")
    return FaceRecord((x, y, w, h), values, _landmarks(annotation), None if score is None else Decimal(score))


def _landmarks(annotation: dict[str, Any]) -> tuple[Decimal, ...] | None:
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


def _record(image: dict[str, Any], faces: Iterable[FaceRecord]) -> ImageRecord:
    size = (int(image["width"]), int(image["height"])) if "width" in image and "height" in image else None
    return ImageRecord(image["file_name"], tuple(faces), size, bool(image.get("zero_face")))


def _dump(value: Any) -> str:
    """JSON whose Decimals are written digit by digit; the json module would make floats of them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)
