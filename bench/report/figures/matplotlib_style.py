"""What every matplotlib figure shares: a frame, and files that change only when what is drawn does."""

import io
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def new_figure(*titles: str, width: float = 7.2, height: float = 4.4) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    """A figure of `width` x `height` inches without a display, with one panel for each title, side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(1, len(titles), place + 1) for place in range(len(titles))]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure; the same content gives the same bytes, so that git shows only real changes."""
    path.write_bytes(figure_bytes(figure, path.suffix.removeprefix(".")))
    return path


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as a file of this kind, "svg" or "png"."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "bench"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(content, format=kind, dpi=160, metadata=metadata)
    return content.getvalue()
