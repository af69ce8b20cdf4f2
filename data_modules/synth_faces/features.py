"""Eyes, brows, nose, mouth, ears: what makes an oval a face. All points are head units on the frontal face."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Colour, ellipse, mixed, shaded
from .head import EYE_X, EYE_Y, MOUTH_X, MOUTH_Y, NOSE_LIFT, NOSE_Y, Head
from .look import Look

_DARK: Colour = (18, 16, 24)


def draw_ears(canvas: Canvas, head: Head, look: Look) -> None:
    """Ears, half hidden by the cheeks that are painted after them."""
    for side in (-1, 1):
        if side * head.yaw > 0.45:  # turned away from the viewer
            continue
        spot = np.array([side * 0.77 * head.width, 0.02, -0.08])
        shape = ellipse(0, 0, 0.1, 0.24, 18)
        points = np.concatenate([shape, np.zeros((18, 1))], 1) + spot
        points[:, 0] -= side * 0.35 * (points[:, 1] - spot[1]).clip(0, 1)  # lobes lie closer to the cheek
        canvas.fill(head.turn(points), shaded(look.skin, 0.86))
        inner = (points - spot) * (0.5, 0.6, 1) + spot
        if head.scale > 9:
            canvas.soften(head.turn(inner), shaded(look.skin, 0.55), 0.7, 0.03 * head.scale)


def draw_relief(canvas: Canvas, head: Head, look: Look, detail: bool) -> None:
    """Soft shadows and lights that give the face depth: sockets, cheeks, sides of the nose, chin, forehead."""
    dark, unit = shaded(look.skin, 0.55), head.scale
    for side in (-1, 1):
        socket = ellipse(side * EYE_X * head.width, EYE_Y - 0.03, 0.2, 0.14, 16)
        canvas.soften(head.on_face(socket), dark, 0.42, 0.06 * unit)
        nose_side = np.array([[0.05, -0.12], [0.14, 0.3], [0.2, 0.32], [0.12, -0.1]]) * (side * look.nose, 1)
        if detail:
            canvas.soften(head.on_face(nose_side), dark, 0.4, 0.04 * unit)
            cheek = ellipse(side * 0.42 * head.width, 0.24, 0.17, 0.14, 14)
            canvas.soften(head.on_face(cheek), mixed(look.skin, (110, 110, 235), 0.35), 0.5, 0.08 * unit)
            fold = np.array([[0.17, 0.32], [0.3, 0.52], [0.33, 0.52], [0.2, 0.3]]) * (side, 1)
            canvas.soften(head.on_face(fold), dark, 0.15 + 0.45 * look.age, 0.025 * unit)
    if detail:
        canvas.soften(head.on_face(ellipse(0, 0.76, 0.15, 0.035, 14)), dark, 0.5, 0.035 * unit)
        shine = shaded(look.skin, 1.3)
        canvas.soften(head.on_face(ellipse(0, -0.62, 0.3, 0.13, 14)), shine, 0.35, 0.1 * unit)
        bridge = np.array([[-0.03, -0.15], [0.03, -0.15], [0.04, 0.2], [-0.04, 0.2]])
        canvas.soften(head.on_face(bridge, 0.1), shine, 0.5, 0.03 * unit)


def draw_eyes(canvas: Canvas, head: Head, look: Look, gaze: float) -> None:
    """Both eyes with lids, iris, pupil and a glint; `gaze` moves the irises sideways (-1..1)."""
    along = np.linspace(-1, 1, 13)
    opening = 0.02 + 0.095 * look.eye_open
    for side in (-1, 1):
        centre = np.array([side * EYE_X * head.width, EYE_Y])
        arch = 1 - along**2
        upper = np.stack([along * 0.165, -opening * arch - 0.012 * along * side], 1) + centre
        lower = np.stack([along * 0.165, opening * 0.72 * arch], 1) + centre
        almond = np.concatenate([upper, lower[::-1]])
        canvas.fill(head.on_face(almond), mixed((236, 238, 240), look.skin, 0.15))
        iris = ellipse(centre[0] + 0.05 * gaze, EYE_Y - 0.005, 0.078, 0.078, 18)
        iris[:, 1] = iris[:, 1].clip(EYE_Y - opening, EYE_Y + opening * 0.72)
        canvas.fill(head.on_face(iris), look.eye)
        lid = mixed(_DARK, look.hair, 0.3)
        canvas.stroke(head.on_face(upper), lid, 0.04 * head.scale)
        if head.scale < 8:
            continue
        pupil = ellipse(centre[0] + 0.05 * gaze, EYE_Y - 0.005, 0.036, min(0.036, opening), 12)
        canvas.fill(head.on_face(pupil), _DARK)
        if look.eye_open > 0.35:
            canvas.fill(
                head.on_face(ellipse(centre[0] + 0.05 * gaze - 0.025, EYE_Y - 0.03, 0.017, 0.017, 8)), (250,) * 3
            )
        canvas.stroke(head.on_face(lower), shaded(look.skin, 0.6), 0.014 * head.scale)
        crease = upper[2:-2] - (0, 0.05)
        canvas.stroke(head.on_face(crease), shaded(look.skin, 0.68), 0.016 * head.scale)


def draw_brows(canvas: Canvas, head: Head, look: Look) -> None:
    """Eyebrows in the colour of the hair, raised a little by a laugh or a shout."""
    along = np.linspace(-1, 1, 9)
    lift = 0.03 * look.mouth_open + 0.02 * look.smile
    colour = mixed(shaded(look.hair, 0.8), look.skin, 0.2)
    for side in (-1, 1):
        thick = 0.034 * look.brow * (1.15 - 0.7 * np.abs(along + 0.3))
        x = side * (EYE_X * head.width + 0.02 + 0.2 * along)
        y = -0.31 - lift - 0.05 * (1 - (along - 0.2) ** 2)
        outline = np.concatenate([np.stack([x, y - thick], 1), np.stack([x, y + thick], 1)[::-1]])
        canvas.fill(head.on_face(outline), colour)


def draw_nose(canvas: Canvas, head: Head, look: Look) -> None:
    """The tip, which stands out and so moves with the pose, its wings and nostrils."""
    wide, unit = look.nose, head.scale
    under = np.array([[-0.15 * wide, 0.28], [0.15 * wide, 0.28], [0.1 * wide, 0.37], [-0.1 * wide, 0.37]])
    canvas.soften(head.on_face(under, 0.08), shaded(look.skin, 0.5), 0.6, 0.025 * unit)
    tip = ellipse(0, NOSE_Y, 0.085 * wide, 0.075, 16)
    canvas.soften(head.on_face(tip, NOSE_LIFT), shaded(look.skin, 1.12), 0.9, 0.025 * unit)
    for side in (-1, 1) if unit > 6 else ():
        nostril = ellipse(side * 0.07 * wide, 0.325, 0.036 * wide, 0.02, 10)
        canvas.fill(head.on_face(nostril, 0.12), shaded(look.skin, 0.32))
        wing = np.array([[0.12, 0.2], [0.155, 0.27], [0.13, 0.33]]) * (side * wide, 1)
        canvas.stroke(head.on_face(wing, 0.06), shaded(look.skin, 0.55), 0.02 * unit)


def draw_mouth(canvas: Canvas, head: Head, look: Look) -> None:
    """Lips that smile or frown; an open mouth shows teeth and the dark behind them."""
    along = np.linspace(-1, 1, 15)
    half = MOUTH_X * head.width
    bend = -0.075 * look.smile * along**2 + 0.05 * look.smile  # corners go up with a smile
    bow = 1 - along**2
    gap = 0.16 * look.mouth_open
    x = along * half
    cupid = 0.055 * bow * (1 - 0.25 * np.exp(-((along / 0.18) ** 2)))
    inner_top = MOUTH_Y + bend - 0.35 * gap * bow
    inner_bottom = MOUTH_Y + bend + gap * bow
    outline = np.concatenate([np.stack([x, inner_top - cupid], 1), np.stack([x, inner_bottom + 0.085 * bow], 1)[::-1]])
    canvas.fill(head.on_face(outline, 0.02), look.lip)
    if look.mouth_open > 0.1:
        inside = np.concatenate([np.stack([x, inner_top], 1), np.stack([x, inner_bottom], 1)[::-1]])
        canvas.fill(head.on_face(inside * (0.94, 1), 0.02), (34, 20, 62))
        teeth_bottom = np.minimum(inner_top + 0.075 * bow, inner_bottom)
        teeth = np.concatenate([np.stack([x, inner_top], 1), np.stack([x, teeth_bottom], 1)[::-1]])
        canvas.fill(head.on_face(teeth * (0.86, 1), 0.02), (222, 232, 236))
    else:
        line = np.stack([x * 1.04, inner_top], 1)
        canvas.stroke(head.on_face(line, 0.02), shaded(look.lip, 0.42), 0.026 * head.scale)
