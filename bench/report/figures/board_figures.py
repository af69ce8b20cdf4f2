"""Figures for papers, drawn by matplotlib without a display: the Pareto plot, AP by object size, pairs of ideas."""

from pathlib import Path

from matplotlib.figure import Figure

from bench.report.columns import column_of
from bench.report.compare.board_report import BoardReport
from bench.report.compare.leaderboard import Board
from bench.report.compare.row_names import short_names
from bench.report.figures.interaction_figure import interaction_figure
from bench.report.figures.label_placement import Box, anchor_of, place_labels
from bench.report.figures.matplotlib_style import new_figure, save_figure
from bench.report.figures.pareto import Point, pareto_points
from bench.report.figures.plot_style import PALETTE, log_ticks, styles_of
from bench.report.tables.formatting import SCALE

MATPLOTLIB_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}
ALIGNMENT = {"start": "left", "end": "right", "middle": "center"}
SUBSETS = (("val/AP_easy", "val/AP_medium", "val/AP_hard"), ("val/APs", "val/APm", "val/APl"))
MAX_CURVES = 8


def draw_figures(report: BoardReport, folder: Path) -> list[Path]:
    """Write what the board has data for, as PNG and SVG, into the folder; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    board = report.board
    figures = {"pareto": pareto_figure(board), "subsets": subsets_figure(board)}
    figures |= {crossing.figure_name: interaction_figure(crossing) for crossing in report.crossings}
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths += [save_figure(figure, folder / f"{name}_{board.slug}{suffix}") for suffix in (".png", ".svg")]
    return paths


def pareto_figure(board: Board) -> Figure | None:
    """The primary metric against GMACs on a log axis; None where no row has a cost."""
    points = pareto_points(board)
    if not points or board.primary is None:
        return None
    column = column_of(board.primary)
    scale = SCALE.get(column.kind, 1.0)
    figure, (axes,) = new_figure(board.title)
    front = [point for point in points if point.front]
    axes.step([p.macs / 1e9 for p in front], [p.score * scale for p in front], where="post", color="0.6", lw=1.2)
    styles = styles_of(point.row.detector for point in points)
    for point in points:
        colour, marker = styles[point.row.detector]
        full = point.row.record.provenance.schedule == "full"
        axes.plot(
            point.macs / 1e9,
            point.score * scale,
            MATPLOTLIB_MARKERS[marker],
            color=PALETTE[colour],
            markerfacecolor=PALETTE[colour] if full else "none",
        )
    ticks = log_ticks(points[0].macs / 1e9, points[-1].macs / 1e9)
    axes.set_xscale("log")
    axes.set_xlim(ticks[0], ticks[-1])
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.margins(y=0.1)
    axes.set_xlabel("GMACs")
    axes.set_ylabel(column.title + (" (%)" if column.kind == "fraction" else ""))
    _annotate(figure, points, scale)
    return figure


def subsets_figure(board: Board) -> Figure | None:
    """AP over small, medium and large objects (or easy, medium, hard) of the best rows; None without such metrics."""
    keys = next((keys for keys in SUBSETS if any(all(key in row.values for key in keys) for row in board.rows)), None)
    if keys is None:
        return None
    rows = [row for row in board.rows if all(key in row.values for key in keys)][:MAX_CURVES]
    figure, (axes,) = new_figure(board.title)
    for place, (row, name) in enumerate(zip(rows, short_names(rows), strict=True)):
        means = [row.values[key].mean * 100 for key in keys]
        errors = [(row.values[key].std or 0.0) * 100 for key in keys]
        axes.errorbar(range(len(keys)), means, errors, marker="o", color=PALETTE[place], capsize=3, label=name)
    axes.set_xticks(range(len(keys)), [column_of(key).title for key in keys])
    axes.set_ylabel("AP (%)")
    axes.legend(fontsize=7, frameon=False)
    return figure


def _annotate(figure: Figure, points: list[Point], scale: float) -> None:
    """Names beside the points, in the pixels of the finished layout; those without room are left out."""
    figure.draw_without_rendering()
    axes = figure.axes[0]
    order = sorted(points, key=lambda point: (not point.front, -point.score))
    pixels = [axes.transData.transform((point.macs / 1e9, point.score * scale)) for point in order]
    places = [(float(x), -float(y)) for x, y in pixels]  # label placement counts y downwards
    extent = axes.get_window_extent()
    frame = Box(extent.x0, -extent.y1, extent.x1, -extent.y0)
    dot = figure.dpi / 72
    sizes = [(4.4 * dot * len(point.label), 9 * dot) for point in order]
    boxes = place_labels(places, sizes, [point.front for point in order], frame, gap=8 * dot)
    for point, place, box in zip(order, places, boxes, strict=True):
        if box is not None:
            anchor_x, anchor = anchor_of(box, place[0])
            x, y = axes.transData.inverted().transform((anchor_x, -(box.y0 + box.y1) / 2))
            weight = "bold" if point.front else "normal"
            axes.text(x, y, point.label, ha=ALIGNMENT[anchor], va="center", fontsize=7, fontweight=weight)
