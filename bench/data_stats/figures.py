"""Figures of `bench data stats`: cumulative face scale, faces and positives by scale, positives by stride."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from bench.report.figures.matplotlib_style import new_figure, save_figure
from bench.report.figures.plot_style import PALETTE

TICKS = (2, 4, 8, 16, 32, 64, 128, 256, 512)


def draw_data_stats(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write each figure as PNG and SVG into the folder; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = document["detector"]
    figures = {
        "face_scale": face_scale_figure(document),
        f"{name}_by_scale": scale_figure(document),
        f"{name}_by_stride": stride_figure(document),
    }
    return [
        save_figure(figure, folder / f"{stem}{suffix}")
        for stem, figure in figures.items()
        for suffix in (".png", ".svg")
    ]


def face_scale_figure(document: Mapping[str, Any]) -> Figure:
    face_scale, val = document["face_scale"], document["data"]["val"]
    noun = face_scale["of"]
    where = f"{val['name']} val, {val['images']:,} images"
    figure, (axes,) = new_figure(f"Cumulative scale of {noun} at long side {face_scale['long_side']}: {where}")
    for place, (name, curve) in enumerate(face_scale["curves"].items()):
        if curve["below"]:
            label = f"{name} ({curve['faces']:,} {noun})"
            axes.plot(face_scale["scales"], [100 * f for f in curve["below"]], color=PALETTE[place], label=label)
    axes.set_xscale("log", base=2)
    axes.set_xlim(TICKS[0], 640)
    axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
    axes.minorticks_off()
    axes.set_ylim(0, 101)
    axes.set_xlabel("scale, √(w·h), in pixels")
    axes.set_ylabel(f"{noun} below that scale (%)")
    axes.legend(fontsize=8, frameon=False)
    return figure


def scale_figure(document: Mapping[str, Any]) -> Figure:
    train, size = document["data"]["train"], document["input_size"]
    noun = document["face_scale"]["of"]
    figure, (faces, positives) = new_figure(
        f"{noun.capitalize()} in an epoch: {train['name']}, {train['images']:,} images",
        f"Positive anchors in an epoch: {document['detector']}",
        width=11,
        height=4.2,
    )
    _bars(faces, document, "faces_by_scale", f"scale of {noun} in the {size} px training image")
    _bars(positives, document, "positives_by_anchor_scale", "anchor scale in pixels")
    return figure


def stride_figure(document: Mapping[str, Any]) -> Figure:
    train = document["data"]["train"]
    figure, (axes,) = new_figure(
        f"Positive anchors in an epoch by stride: {document['detector']} on {train['name']}, {train['images']:,} images"
    )
    _bars(axes, document, "positives_by_stride", "stride in pixels")
    return figure


def _bars(axes: matplotlib.axes.Axes, document: Mapping[str, Any], table: str, xlabel: str) -> None:
    """A group of bars for each key, one bar a set of crops; above a group the ratios of later sets to the first."""
    sets, ratio = document["crop_sets"], document["ratio"]
    keys = list(next(iter(sets.values()))[table])
    width = 0.8 / len(sets)
    for place, (name, counts) in enumerate(sets.items()):
        crops = counts["crop_scales"]
        label = f"{name}: crops {min(crops):g} to {max(crops):g}"
        at = [index + (place - (len(sets) - 1) / 2) * width for index in range(len(keys))]
        axes.bar(at, [counts[table][key] for key in keys], width, color=PALETTE[place % len(PALETTE)], label=label)
    for index, key in enumerate(keys):
        top = max(counts[table][key] for counts in sets.values())
        times = [f"×{ratio[name][table][key]:.2f}" for name in ratio if ratio[name][table][key] is not None]
        axes.annotate(" ".join(times), (index, top), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    axes.grid(axis="x", visible=False)
    axes.set_axisbelow(True)
    axes.set_xticks(range(len(keys)), keys, fontsize=8)
    axes.set_xlabel(xlabel)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(y=0.08)
    axes.legend(fontsize=8, frameon=False, title="sample redistribution" if set(sets) == {"on", "off"} else None)
