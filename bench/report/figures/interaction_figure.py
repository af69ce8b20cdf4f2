"""The interaction plot: a line for each label of the first idea over the labels of the second, seeds as points."""

import matplotlib.axes
from matplotlib.figure import Figure

from bench.report.columns import column_of
from bench.report.compare.crossings import Crossing
from bench.report.compare.interactions import Interaction
from bench.report.figures.matplotlib_style import new_figure
from bench.report.figures.plot_style import PALETTE
from bench.report.tables.formatting import SCALE

OFFSET = 0.03  # how far the seeds of either line stand from the tick, so that they do not hide each other


def interaction_figure(crossing: Crossing) -> Figure | None:
    """A panel for each 2 x 2. Dotted: where the second line would lie if the two ideas simply added up."""
    metric = crossing.metric
    if metric is None:
        return None
    names = [crossing.name_of(interaction) for interaction in crossing.shown]
    columns = 1 if len(names) == 1 else 3  # under a single panel the legend's entries stand below each other
    figure, panels = new_figure(*names, width=0.6 + 3.3 * len(names), height=3.6 if columns == 1 else 3.2)
    column = column_of(metric)
    for axes, interaction in zip(panels, crossing.shown, strict=True):
        _draw(axes, interaction, metric, SCALE.get(column.kind, 1.0))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=7, frameon=False)
    panels[0].set_ylabel(column.title + (" (%)" if column.kind == "fraction" else ""))
    return figure


def _draw(axes: matplotlib.axes.Axes, interaction: Interaction, metric: str, scale: float) -> None:
    (first, second), (sides, second_sides) = interaction.axes, interaction.ablations
    means = {corner: values[metric].mean * scale for corner, values in interaction.values.items()}
    for side, label in enumerate(sides):
        line = [means[side, 0], means[side, 1]]
        axes.plot((0, 1), line, color=PALETTE[side], marker="o", label=f"{first}={label}")
        offset = OFFSET * (2 * side - 1)
        for sample in interaction.samples.values():
            seeds = [sample[side, place][metric] * scale for place in (0, 1)]
            axes.plot((offset, 1 + offset), seeds, "o", color=PALETTE[side], markersize=3, alpha=0.5, zorder=3)
    added = means[1, 0] + means[0, 1] - means[0, 0]
    axes.plot((0, 1), (means[1, 0], added), ":", color="0.5", lw=1.2, label="if they simply added up", zorder=1)
    axes.set_xticks((0, 1), second_sides)
    axes.set_xlim(-0.2, 1.2)
    axes.set_xlabel(second)
