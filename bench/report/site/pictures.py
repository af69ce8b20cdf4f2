"""Pictures of detections, small enough to live inside the page."""

import base64
from pathlib import Path

import cv2

from bench.errors import BenchError
from bench.predictions.drawing import fit

LIMIT = 12
LONGEST_SIDE = 1280  # pixels: a contact sheet of four columns stays legible
QUALITY = 82


class PictureError(BenchError):
    """A picture that cannot be read."""


def embed_pictures(folder: Path, limit: int = LIMIT) -> list[tuple[str, str]]:
    """The first `limit` PNG and JPEG files of the folder by name, as (caption, data URI of a JPEG thumbnail).

    A folder that does not exist has none. Raises PictureError for a file that is no picture.
    """
    if not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    return [(path.stem.replace("_", " "), _thumbnail(path)) for path in paths[:limit]]


def _thumbnail(path: Path) -> str:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PictureError(f"{path}: expected a PNG or JPEG picture, found something else; remove it or save it again")
    if max(image.shape[:2]) > LONGEST_SIDE:
        image = fit(image, (LONGEST_SIDE, LONGEST_SIDE))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
