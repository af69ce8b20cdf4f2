"""What the annotations say about a face, and which faces the easy, medium and hard lists count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_LANDMARK_SIZE = 6.0  # pixels; smaller faces carry no landmarks


@dataclass(frozen=True)
class Attributes:
    """The integers of WIDER FACE's own annotation line, in its order and coding."""

    blur: int = 0  # 0 clear, 1 normal, 2 heavy
    expression: int = 0  # 0 typical, 1 exaggerated
    illumination: int = 0  # 0 normal, 1 extreme
    invalid: int = 0  # 1: nobody should be asked to find it
    occlusion: int = 0  # 0 none, 1 partial, 2 heavy
    pose: int = 0  # 0 typical, 1 atypical


@dataclass(frozen=True)
class Face:
    """One annotated face: whole-pixel box (x, y, w, h), landmarks [5, 2] or None where unlabelled."""

    box: tuple[int, int, int, int]
    landmarks: np.ndarray | None
    attributes: Attributes

    @property
    def size(self) -> float:
        """Side of the square of the same area, pixels."""
        return float(np.sqrt(self.box[2] * self.box[3]))


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of the set: its event, its name without suffix, its size and its faces."""

    event: str
    name: str
    width: int
    height: int
    faces: tuple[Face, ...]

    def side_640(self, face: Face) -> float:
        """Size of a face when the long side of the image is 640 pixels."""
        return face.size * 640 / max(self.width, self.height)


def blur_label(sigma: float, size: float) -> int:
    """0, 1 or 2 from the blur (sigma, pixels) against the size of the face; tiny faces are blurred by nature."""
    if sigma > 0.085 * size or size < 7:
        return 2
    return 1 if sigma > 0.035 * size or size < 13 else 0


def occlusion_label(covered: float) -> int:
    """0, 1 or 2 from the covered share of the face; WIDER calls it heavy from 30 %."""
    if covered < 0.04:
        return 0
    return 1 if covered < 0.3 else 2


def counted(image: AnnotatedImage, face: Face, setting: str) -> bool:
    """Whether `setting` (easy, medium, hard) counts the face: easy within medium within hard."""
    size, labels = image.side_640(face), face.attributes
    if labels.invalid:
        return False
    if setting == "hard":
        return True
    if setting == "medium":
        return size >= 15 and labels.occlusion < 2
    return size >= 28 and labels.occlusion == 0 and labels.blur < 2
