"""`bench data convert`: between WIDER text, RetinaFace text and COCO JSON."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from data_modules.errors import DataError
from data_modules.labels.face_coco import read_face_coco, write_face_coco
from data_modules.labels.records import ImageRecord
from data_modules.labels.retinaface_text import read_retinaface_text, write_retinaface_text
from data_modules.labels.wider_text import read_wider_records, write_wider_text

READERS: dict[str, Callable[[Path], list[ImageRecord]]] = {
    "wider": read_wider_records,
    "retinaface": read_retinaface_text,
    "retinaface_sizes": partial(read_retinaface_text, sizes=True),
    "coco": read_face_coco,
}
WRITERS: dict[str, Callable[[Path, Sequence[ImageRecord]], None]] = {
    "wider": write_wider_text,
    "retinaface": write_retinaface_text,
    "coco": write_face_coco,
}
log = logging.getLogger(__name__)


def convert(
    source: str | Path,
    output: str | Path,
    source_format: str | None = None,
    output_format: str | None = None,
    images: str | Path | None = None,
) -> dict[str, Any]:
    """Write the faces of the file `source` in another form to the file `output`.

    Args:
        source_format: wider, retinaface, retinaface_sizes (boxes as x y w h) or coco; None looks at the file.
        output_format: wider, retinaface or coco; None: coco for `.json`, else the name tells (`bbx_gt`, `label`).
        images: the folder of the images, whose sizes COCO wants; None keeps the sizes that the source has.

    Returns:
        Formats, numbers of images and of faces, and how many faces lost their landmarks, for which
        WIDER text has no place.

    Raises:
        DataError: a form that cannot be told, a file that is not of its form, an image that is missing.
    """
    source, output = Path(source).expanduser(), Path(output).expanduser()
    read_as, write_as = source_format or _format_of(source), output_format or _format_named(output)
    for given, known in ((read_as, READERS), (write_as, WRITERS)):
        if given not in known:
            raise DataError(f"expected one of the formats {', '.join(known)}; found `{given}`")
    if output.exists() and output.resolve() == source.resolve():
        raise DataError(f"expected another file to write than the one to read; found {output} for both")
    records = READERS[read_as](source)
    if images is not None:
        records = [replace(record, size=_size(Path(images).expanduser() / record.path)) for record in records]
    elif write_as == "coco" and not all(record.size for record in records):
        log.warning(
            "%s: images without width and height, which COCO's readers may want; images=FOLDER adds them", output
        )
    lost = sum(face.landmarks is not None for record in records for face in record.faces) if write_as == "wider" else 0
    if lost:
        log.warning("%s: the landmarks of %d faces are left out, WIDER text has no place for them", output, lost)
    output.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[write_as](output, records)
    faces = sum(len(record.faces) for record in records)
    return {"from": read_as, "to": write_as, "images": len(records), "faces": faces, "landmarks_left_out": lost}


def _format_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            start = file.read(64).lstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a label file at {path}, found none that reads as text ({error})") from error
    return {"{": "coco", "#": "retinaface"}.get(start[:1], "wider")


def _format_named(path: Path) -> str:
    if path.suffix == ".json":
        return "coco"
    for word, form in (("bbx_gt", "wider"), ("label", "retinaface"), ("landmarks", "retinaface")):
        if word in path.name:
            return form
    raise DataError(f"cannot tell the format of {path}; add to_format=wider, retinaface or coco")


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise DataError(f"expected the image {path} for its size, found none that reads ({error})") from error
