"""What a person looks like: skin, hair, features, expression, accessories; and the light that falls on the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Colour, mixed

# Red, green, blue as people read them; turned to OpenCV's blue, green, red below.
_SKIN_RGB = [
    (250, 218, 194), (240, 198, 166), (228, 180, 142), (208, 152, 112),
    (178, 120, 82), (142, 92, 62), (108, 70, 50), (80, 52, 40),
]  # fmt: skip
_HAIR_RGB = [
    (24, 20, 20), (38, 28, 24), (62, 42, 30), (92, 62, 40), (128, 88, 52), (176, 132, 80), (212, 176, 116),
    (140, 62, 36), (128, 126, 126), (206, 204, 200),
]  # fmt: skip
_CLOTH_RGB = [
    (30, 34, 44), (236, 236, 232), (120, 24, 32), (28, 52, 110), (48, 92, 62), (190, 150, 60), (96, 96, 104),
    (200, 90, 50), (110, 60, 120), (64, 130, 160), (220, 190, 160), (60, 40, 32), (214, 60, 70), (230, 200, 70),
]  # fmt: skip
_EYE_RGB = [(60, 38, 22), (84, 56, 30), (96, 100, 60), (74, 104, 130), (40, 26, 18)]

HAIR_STYLES = ("short", "parted", "fringe", "long", "bob", "curly", "bun", "receding", "bald", "scarf")
_HAIR_SHARES = np.array([0.22, 0.14, 0.12, 0.14, 0.09, 0.1, 0.06, 0.05, 0.04, 0.04])


@dataclass(frozen=True)
class Look:
    """Everything about one face but its place and pose."""

    skin: Colour
    hair: Colour
    cloth: Colour
    second_cloth: Colour
    eye: Colour
    lip: Colour
    style: str  # one of HAIR_STYLES
    hat: str  # none, cap, beanie, brim
    glasses: str  # none, clear, sun
    beard: str  # none, stubble, moustache, full
    smile: float  # -0.4 frowns, 1 laughs
    mouth_open: float  # 0 closed, 1 shouts
    eye_open: float  # 0 closed, 1 wide
    brow: float  # thickness, relative
    nose: float  # width, relative
    age: float  # 0 smooth, 1 lined


@dataclass(frozen=True)
class Light:
    """Direction to the light (image x, y down, z to the viewer), ambient share and tint of the light."""

    direction: tuple[float, float, float]
    ambient: float
    strength: float
    tint: Colour


def _pick(rng: np.random.Generator, table: list[tuple[int, int, int]], jitter: float = 10) -> Colour:
    red, green, blue = np.clip(np.array(table[rng.integers(len(table))]) + rng.normal(0, jitter, 3), 0, 255)
    return (float(blue), float(green), float(red))


def cloth_colour(rng: np.random.Generator) -> Colour:
    """A colour that clothes, hats and painted things have; some faded."""
    colour = _pick(rng, _CLOTH_RGB, 12)
    return mixed(colour, (sum(colour) / 3,) * 3, float(rng.uniform(0, 0.6)))


def skin_colour(rng: np.random.Generator) -> Colour:
    """A skin tone between two neighbours of the table."""
    place = rng.uniform(0, len(_SKIN_RGB) - 1.001)
    low = np.array(_SKIN_RGB[int(place)], float)
    tone = low + (np.array(_SKIN_RGB[int(place) + 1]) - low) * (place % 1) + rng.normal(0, 4, 3)
    red, green, blue = np.clip(tone, 0, 255)
    return (float(blue), float(green), float(red))


def sample_look(rng: np.random.Generator) -> Look:
    """A person at random."""
    skin = skin_colour(rng)
    dark_hair = sum(skin) < 330
    hair = _pick(rng, _HAIR_RGB[:3] if dark_hair else _HAIR_RGB, 6)
    style = HAIR_STYLES[rng.choice(len(HAIR_STYLES), p=_HAIR_SHARES)]
    bearded = style in ("short", "parted", "receding", "bald", "curly") and rng.random() < 0.4
    made_up = style in ("long", "bob", "bun", "fringe") and rng.random() < 0.5
    lip = mixed(skin, (80, 60, 170) if not made_up else (60, 30, 190), 0.35 if not made_up else 0.65)
    return Look(
        skin=skin,
        hair=hair,
        cloth=cloth_colour(rng),
        second_cloth=cloth_colour(rng),
        eye=_pick(rng, _EYE_RGB[:2] if dark_hair else _EYE_RGB, 4),
        lip=lip,
        style=style,
        hat=str(rng.choice(["none", "cap", "beanie", "brim"], p=[0.82, 0.08, 0.06, 0.04])),
        glasses=str(rng.choice(["none", "clear", "sun"], p=[0.78, 0.14, 0.08])),
        beard=str(rng.choice(["stubble", "moustache", "full"])) if bearded else "none",
        smile=float(rng.uniform(-0.3, 1.0)),
        mouth_open=float(rng.choice([0.0, rng.uniform(0.2, 0.5), rng.uniform(0.6, 1.0)], p=[0.62, 0.26, 0.12])),
        eye_open=float(np.clip(rng.normal(0.7, 0.22), 0.05, 1.0)),
        brow=float(rng.uniform(0.6, 1.5)),
        nose=float(rng.uniform(0.8, 1.3)),
        age=float(rng.beta(1.2, 2.0)),
    )


def sample_light(rng: np.random.Generator, extreme: bool) -> Light:
    """Ordinary light from above and in front; extreme: hard from one side, from behind, glaring or nearly dark."""
    side = rng.normal(0, 0.5)
    tint = mixed(
        (255, 255, 255), (170, 215, 255) if rng.random() < 0.5 else (255, 235, 215), float(rng.uniform(0, 0.6))
    )
    if not extreme:
        return Light((side, -0.45, 0.8), float(rng.uniform(0.55, 0.75)), float(rng.uniform(0.4, 0.6)), tint)
    kind = rng.integers(3)
    if kind == 0:
        return Light((float(rng.choice([-1.0, 1.0])), -0.2, 0.15), 0.22, 1.0, tint)
    if kind == 1:
        return Light((side, -0.3, 0.5), 0.29, 0.34, tint)
    return Light((side, -0.5, 0.8), 0.85, 0.75, tint)
