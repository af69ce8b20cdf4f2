"""The Pareto plot of a board as an inline SVG: colours come from the page's style sheet, so both themes fit."""

import math
from html import escape

from bench.report.columns import column_of
from bench.report.compare.leaderboard import Board
from bench.report.figures.label_placement import Box, anchor_of, place_labels
from bench.report.figures.pareto import Point, describe_point, pareto_points
from bench.report.figures.plot_style import linear_ticks, log_ticks, styles_of
from bench.report.tables.formatting import SCALE

WIDTH, HEIGHT = 960, 440
FRAME = Box(64, 16, WIDTH - 20, HEIGHT - 52)
CHARACTER = 6.8  # width of a character of a label, in pixels, on the generous side


def pareto_svg(board: Board) -> str:
    """The plot as an <svg> element, or an empty text where no row has a cost."""
    points = pareto_points(board)
    if not points or board.primary is None:
        return ""
    column = column_of(board.primary)
    scale = SCALE.get(column.kind, 1.0)
    x_ticks = log_ticks(points[0].macs / 1e9, points[-1].macs / 1e9)
    y_ticks = linear_ticks(min(p.score for p in points) * scale, max(p.score for p in points) * scale)

    def place(macs: float, score: float) -> tuple[float, float]:
        along = (math.log(macs) - math.log(x_ticks[0])) / (math.log(x_ticks[-1]) - math.log(x_ticks[0]))
        up = (score - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return FRAME.x0 + along * (FRAME.x1 - FRAME.x0), FRAME.y1 - up * (FRAME.y1 - FRAME.y0)

    places = [place(point.macs / 1e9, point.score * scale) for point in points]
    unit = " (%)" if column.kind == "fraction" else ""
    parts = [
        *(_vertical(place(tick, y_ticks[0])[0], f"{tick:g}") for tick in x_ticks),
        *(_horizontal(place(x_ticks[0], tick)[1], f"{tick:.6g}") for tick in y_ticks),
        f'<text class="axis" x="{(FRAME.x0 + FRAME.x1) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
        "GMACs (log scale)</text>",
        f'<text class="axis" transform="translate(16 {(FRAME.y0 + FRAME.y1) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(column.title + unit)}</text>',
        _front(points, places),
        *_marks(points, places, board.primary),
        *_labels(points, places),
    ]
    title = f"{column.title} against GMACs, {board.title}"
    return (
        f'<svg class="pareto" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _vertical(x: float, text: str) -> str:
    line = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{FRAME.y0}" y2="{FRAME.y1}"/>'
    return f'{line}<text class="tick" x="{x:.1f}" y="{FRAME.y1 + 18}" text-anchor="middle">{text}</text>'


def _horizontal(y: float, text: str) -> str:
    line = f'<line class="grid" x1="{FRAME.x0}" x2="{FRAME.x1}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text class="tick" x="{FRAME.x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _front(points: list[Point], places: list[tuple[float, float]]) -> str:
    """The front as steps: between two of its points, the cheaper one is the best that the budget buys."""
    corners = [place for point, place in zip(points, places, strict=True) if point.front]
    steps = [f"M{corners[0][0]:.1f} {corners[0][1]:.1f}", *(f"H{x:.1f}V{y:.1f}" for x, y in corners[1:])]
    return f'<path class="front" d="{"".join(steps)}H{FRAME.x1:.1f}"/>'


def _marks(points: list[Point], places: list[tuple[float, float]], primary: str) -> list[str]:
    styles = styles_of(point.row.detector for point in points)
    marks = []
    for point, (x, y) in zip(points, places, strict=True):
        colour, marker = styles[point.row.detector]
        hollow = "" if point.row.record.provenance.schedule == "full" else " hollow"
        marks.append(
            f'<g class="point c{colour}{hollow}" tabindex="0">{marker_svg(marker, x, y)}'
            f"<title>{escape(describe_point(point, primary))}</title></g>"
        )
    return marks


def marker_svg(marker: str, x: float, y: float, size: float = 6.0) -> str:
    """One marker about (x, y); `size` is half its width in pixels."""
    if marker == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size - 0.5:.1f}"/>'
    corners = {
        "square": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
        "diamond": ((0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)),
        "triangle": ((0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)),
    }[marker]
    path = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{path}"/>'


def _labels(points: list[Point], places: list[tuple[float, float]]) -> list[str]:
    order = sorted(range(len(points)), key=lambda index: (not points[index].front, -points[index].score))
    sizes = [(CHARACTER * len(points[index].label), 14.0) for index in order]
    front = [points[index].front for index in order]
    boxes = place_labels([places[index] for index in order], sizes, front, FRAME, gap=10)
    labels = []
    for index, box in zip(order, boxes, strict=True):
        if box is not None:
            x, anchor = anchor_of(box, places[index][0])
            kind = "label on-front" if points[index].front else "label"
            text = escape(points[index].label)
            labels.append(f'<text class="{kind}" x="{x:.1f}" y="{box.y1 - 3:.1f}" text-anchor="{anchor}">{text}</text>')
    return labels
