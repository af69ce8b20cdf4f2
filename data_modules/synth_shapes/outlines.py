"""The classes: outlines of radius 1 around the origin, y down, before they are turned, squeezed and scaled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [N, 2]

CLASS_NAMES = ("disc", "square", "triangle", "star", "ring", "cross", "arrow", "moon")


def outline(name: str) -> Points:
    """The polygon of a class. A ring is cut open along one line, so that it is one polygon too."""
    if name == "disc":
        return _circle(1.0, 40)
    if name == "square":
        return _regular(4, 1.0, np.pi / 4)
    if name == "triangle":
        return _regular(3, 1.0, -np.pi / 2)
    if name == "star":
        tips, notches = _regular(5, 1.0, -np.pi / 2), _regular(5, 0.42, -np.pi / 2 + np.pi / 5)
        return np.stack([tips, notches], axis=1).reshape(-1, 2)
    if name == "ring":
        outer, inner = _circle(1.0, 40), _circle(0.55, 40)
        return np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
    if name == "cross":
        a, b = 0.3, 0.95
        quarter = np.array([(a, -b), (a, -a), (b, -a)])
        return np.concatenate([quarter @ _turn(k * np.pi / 2).T for k in range(4)])
    if name == "arrow":
        return np.array([(1, 0), (0.1, -0.75), (0.1, -0.28), (-1, -0.28), (-1, 0.28), (0.1, 0.28), (0.1, 0.75)], float)
    if name == "moon":
        angles = np.linspace(0.6, 2 * np.pi - 0.6, 36)
        outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        reach = np.linspace(1, -1, 20)[1:-1]
        inner = np.stack([outer[0, 0] - 1.1 * (1 - reach**2), -outer[0, 1] * reach], axis=1)
        return np.concatenate([outer, inner])
    raise ValueError(f"expected one of {', '.join(CLASS_NAMES)}, found {name}")


def placed(points: Points, x: float, y: float, radius: float, angle: float, squeeze: float) -> Points:
    """An outline at (x, y): squeezed across by `squeeze`, turned by `angle` radians, `radius` pixels large."""
    return (points * (1.0, squeeze)) @ _turn(angle).T * radius + (x, y)


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _regular(corners: int, radius: float, first: float) -> Points:
    angles = first + 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _circle(radius: float, corners: int) -> Points:
    return _regular(corners, radius, 0.0)
