"""What a dataset hands over to be verified, and what may be found in it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finding:
    """What was found, and in which image or file."""

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True)
class VerificationItem:
    """One annotated image.

    `record` is the text of its annotations, compared with that of the first verification; `size` (W, H) is what the
    annotations say; `confirmed`: a second source has the same boxes, so that a box outside the image is the release's.
    """

    image_id: str
    path: Path
    boxes: NDArray[np.float64]  # [N, 4] xyxy pixels
    ignore: NDArray[np.bool_]  # [N]
    record: str
    size: tuple[int, int] | None = None
    confirmed: bool = False


@dataclass
class SplitContent:
    """What a dataset hands over for one split: `facts` are shown as they are, `files` are remembered by name."""

    items: list[VerificationItem]
    folder: Path
    files: dict[str, Path]
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    oddities: list[Finding] = field(default_factory=list)
