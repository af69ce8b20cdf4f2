"""Reading an image, and refusing a damaged one.

libjpeg decodes a truncated file to the end of what is there, leaves the rest grey and only warns; a detector would be
trained or evaluated on half an image. So the end marker is looked for before decoding.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError

# Whatever changes the pixels that a file decodes to changes this, and so the names of cached images.
DECODER = f"RGB unrotated, OpenCV {cv2.__version__}"
_START, _SCAN, _END = b"\xff\xd8", 0xDA, b"\xff\xd9"


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image at `path` as uint8 RGB [H, W, 3], as stored (an orientation tag turns neither it nor the boxes).

    Raises:
        DataError: the file is missing, truncated or undecodable.
    """
    return decode_image(read_content(path), path)


def read_content(path: Path) -> bytes:
    """The bytes of the file of an image.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"expected the image {path}, found none that can be read ({error.strerror})") from error


def decode_image(content: bytes, path: Path) -> NDArray[np.uint8]:
    """`read_image` of a file whose bytes are `content`; `path` is for the messages.

    Raises:
        DataError: the content is truncated or undecodable.
    """
    if content.startswith(_START) and not _is_complete_jpeg(content):
        raise DataError(f"{path}: expected a whole JPEG, found a truncated one of {len(content)} bytes; fetch it again")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None:
        raise DataError(f"{path}: expected an image, found {len(content)} bytes that do not decode; fetch it again")
    return np.asarray(image, np.uint8)


def _is_complete_jpeg(content: bytes) -> bool:
    """Whether an end marker follows the start of the first scan; bytes after it are allowed.

    Segments before the scan are stepped over by their length, for a thumbnail inside them has an end marker of its own.
    """
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return False
        if content[at + 1] == 0xFF:  # a fill byte before a marker
            at += 1
            continue
        if content[at + 1] == _SCAN:
            return content.find(_END, at + 4) >= 0
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False
