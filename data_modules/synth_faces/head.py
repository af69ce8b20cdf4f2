"""The geometry of a head: a stack of elliptic rings, turned by yaw, pitch and roll, seen in parallel projection.

Head units: the face reaches from y = -1 (hairline) to y = +1 (chin), x to the viewer's right, z towards the viewer.
Outline, box, landmarks and every painted feature come from the same projection, so they agree by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import cos, sin

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

_LEVEL = np.array([-1.34, -1.27, -1.05, -0.72, -0.35, 0.0, 0.3, 0.55, 0.75, 0.9, 0.98, 1.0])
_WIDTH = np.array([0.0, 0.30, 0.56, 0.71, 0.765, 0.765, 0.725, 0.645, 0.51, 0.35, 0.2, 0.0])
_DEPTH = np.array([0.0, 0.35, 0.62, 0.76, 0.82, 0.82, 0.80, 0.79, 0.78, 0.77, 0.73, 0.65])
_TABLE = np.linspace(_LEVEL[0], _LEVEL[-1], 118)
_WIDTH_TABLE = PchipInterpolator(_LEVEL, _WIDTH)(_TABLE)
_DEPTH_TABLE = PchipInterpolator(_LEVEL, _DEPTH)(_TABLE)
_BACK_DEPTH = 1.0  # the back of the skull lies this far behind the axis, at the height of the eyes

EYE_X, EYE_Y = 0.33, -0.10
NOSE_Y, NOSE_LIFT = 0.26, 0.17
MOUTH_X, MOUTH_Y = 0.25, 0.56

_MIDDLE = np.array([0.0, -0.3, 0.0])  # skulls grow about this point


@lru_cache(maxsize=64)
def _rings(highest: float, lowest: float, reach: float) -> np.ndarray:
    """Rings of a plain head from -reach to reach around its axis: x, y, z and how much of a jaw it is, [N, 4]."""
    level, angle = np.meshgrid(np.linspace(highest, lowest, 21), np.linspace(-reach, reach, 25), indexing="ij")
    front = np.interp(level, _TABLE, _DEPTH_TABLE)
    depth = np.where(np.cos(angle) >= 0, front, front * _BACK_DEPTH / _DEPTH_TABLE.max())
    wide = np.interp(level, _TABLE, _WIDTH_TABLE) * np.sin(angle)
    rings = np.stack([wide, level, depth * np.cos(angle), _jaw_share(level)], -1).reshape(-1, 4)
    rings.flags.writeable = False
    return rings


def _jaw_share(y: np.ndarray) -> np.ndarray:
    """0 at the eyes, 1 at the jaw: how far the width of the jaw counts."""
    share: np.ndarray = np.clip((np.asarray(y) - 0.1) / 0.7, 0, 1)
    return share


@dataclass(frozen=True)
class Head:
    """Where a head is and how it is turned; angles in radians, x, y and scale in scene pixels."""

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0  # scene pixels for one head unit
    yaw: float = 0.0  # > 0: looks to the viewer's right
    pitch: float = 0.0  # > 0: looks down
    roll: float = 0.0  # > 0: clockwise in the image
    jaw: float = 1.0  # width of the lower face, relative
    width: float = 1.0  # width of the whole head, relative

    def half_width(self, y: np.ndarray) -> np.ndarray:
        """Half the width of the head at height y."""
        wide: np.ndarray = np.interp(y, _TABLE, _WIDTH_TABLE) * self.width * (1 + (self.jaw - 1) * _jaw_share(y))
        return wide

    def turn(self, points: np.ndarray) -> np.ndarray:
        """Head points [N, 3] -> scene pixels [N, 2]."""
        turned: np.ndarray = np.asarray(points, np.float64) @ self._rotation + (self.x, self.y)
        return turned

    @cached_property
    def _rotation(self) -> np.ndarray:
        """[3, 2]: yaw about y, pitch about x, roll in the image, then scale; depth is dropped."""
        yaw = np.array([[cos(self.yaw), 0, -sin(self.yaw)], [0, 1, 0], [sin(self.yaw), 0, cos(self.yaw)]])
        pitch = np.array([[1, 0], [0, cos(self.pitch)], [0, sin(self.pitch)]])
        roll = np.array([[cos(self.roll), sin(self.roll)], [-sin(self.roll), cos(self.roll)]])
        rotation: np.ndarray = yaw @ pitch @ roll * self.scale
        return rotation

    def on_face(self, points: np.ndarray, lift: float = 0.0) -> np.ndarray:
        """Points [N, 2] of the frontal face laid on its surface, `lift` in front of it -> scene pixels [N, 2].

        What the turn of the head hides is moved to the visible edge.
        """
        x, y = np.asarray(points, np.float64).T
        wide, deep = np.maximum(self.half_width(y), 1e-3), np.interp(y, _TABLE, _DEPTH_TABLE)
        angle = np.arcsin(np.clip(x / wide, -1, 1))
        edge = np.arctan2(wide * cos(self.yaw), deep * abs(sin(self.yaw)) + 1e-9)
        angle = np.minimum(angle, edge) if self.yaw > 0 else np.maximum(angle, -edge)
        placed = np.empty((len(x), 3))
        placed[:, 0], placed[:, 1], placed[:, 2] = wide * np.sin(angle), y, deep * np.cos(angle) + lift
        return self.turn(placed)

    @cached_property
    def outline(self) -> np.ndarray:
        """The visible border of the face between ears, hairline and chin, [M, 2] scene pixels."""
        return self.skin_outline(-1.0)

    def skin_outline(self, hairline: float) -> np.ndarray:
        """The border of the skin below a hairline at that height, [M, 2] scene pixels."""
        return self._hull(_rings(hairline, 1.0, np.pi / 2), 1.0)

    def skull_outline(self, grow: float = 1.0, lowest: float = 0.35, highest: float = -1.34) -> np.ndarray:
        """The border of the whole skull above `lowest` (hair and hats are skulls grown a little), [M, 2]."""
        return self._hull(_rings(highest, lowest, np.pi), grow)

    def _hull(self, rings: np.ndarray, grow: float) -> np.ndarray:
        points = rings[:, :3] * (self.width, 1, 1)
        points[:, 0] *= 1 + (self.jaw - 1) * rings[:, 3]
        points = (points - _MIDDLE) * grow + _MIDDLE
        hull: np.ndarray = cv2.convexHull(self.turn(points).astype(np.float32))[:, 0].astype(np.float64)
        return hull

    def landmarks(self) -> np.ndarray:
        """Left eye, right eye, nose tip, left and right corner of the mouth (image-left first), [5, 2] scene pixels."""
        flat = np.array([[-EYE_X, EYE_Y], [EYE_X, EYE_Y], [-MOUTH_X, MOUTH_Y], [MOUTH_X, MOUTH_Y]])
        flat = flat * (self.width, 1)
        eyes_mouth = self.on_face(flat)
        nose = self.on_face(np.array([[0.0, NOSE_Y]]), NOSE_LIFT)
        return np.concatenate([eyes_mouth[:2], nose, eyes_mouth[2:]])

    def box(self) -> np.ndarray:
        """x1, y1, x2, y2 around the face outline, scene pixels, [4]."""
        return np.concatenate([self.outline.min(0), self.outline.max(0)])
