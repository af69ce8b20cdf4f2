"""Two ideas together, as tables for people and as CSV."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.records.identity import in_words
from bench.report.columns import Column, column_of, difference_of
from bench.report.formatting import Cell, format_cell
from bench.report.interactions import CORNERS, EFFECTS, Corner, Interaction, of_usual_postprocess
from bench.report.spreadsheets import csv_text
from bench.report.statistics import Stat
from bench.report.tables import Table

MOST_SHOWN = 4  # of one pair of axes; the CSV has them all
NOTE = (
    "All numbers are over the seeds that the four cells share, each effect taken seed by seed. The interaction, in the "
    "lower right corner of a 2 x 2, is what both together give beyond the sum of the two alone: near zero, the ideas "
    "simply add up."
)
ONE_SEED = "One seed: how much of this is chance is not known."


@dataclass(frozen=True)
class Crossing:
    """Two axes and their 2 x 2 cells, as many as are shown; `left_out` counts the others.

    `metric`: the one to draw and to lay out as 2 x 2, None where some of them lack it.
    """

    axes: tuple[str, str]
    shown: tuple[Interaction, ...]
    left_out: int
    metric: str | None

    @property
    def title(self) -> str:
        return " × ".join(self.axes)

    def name_of(self, interaction: Interaction) -> str:
        """What sets one of those shown apart: all that they do not share, and a detector that all four rows have."""
        others = [other.held for other in self.shown]
        differing = {
            key: value
            for key, value in interaction.held.items()
            if any(key not in other or other[key] != value for other in others)
        }
        named = interaction.detectors if len(interaction.detectors) == 1 or not differing else ()
        return ", ".join([*named, *([in_words(differing)] if differing else [])])

    @property
    def figure_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9.+-]+", "_", f"interaction_{'_x_'.join(self.axes)}")

    @property
    def notes(self) -> list[str]:
        some = f"{self.left_out} more, with other values held fixed, are in the CSV file." if self.left_out else ""
        return [note for note in (NOTE, some) if note]


def crossings(interactions: Sequence[Interaction], primary: str | None) -> list[Crossing]:
    """The interactions by their axes, with the usual post-processor alone."""
    found: dict[tuple[str, str], list[Interaction]] = {}
    for interaction in of_usual_postprocess(interactions):
        found.setdefault(interaction.axes, []).append(interaction)
    return [_crossing(members[:MOST_SHOWN], interactions, primary) for members in found.values()]


def _crossing(shown: list[Interaction], interactions: Sequence[Interaction], primary: str | None) -> Crossing:
    axes = shown[0].axes
    left_out = sum(interaction.axes == axes for interaction in interactions) - len(shown)
    drawn = all(primary in interaction.metrics for interaction in shown)
    return Crossing(axes, tuple(shown), left_out, primary if drawn else None)


def corner_table(interaction: Interaction, metric: str) -> Table:
    """The 2 x 2 of one metric: means in the middle, effects on the rim, the interaction in the corner."""
    column = column_of(metric)
    (first, second), ((before, after), (second_before, second_after)) = interaction.axes, interaction.ablations
    columns = (
        Column("corner", column.title, f"{column.title} under each pair of labels."),
        Column("before", f"{second}={second_before}", "", column.kind),
        Column("after", f"{second}={second_after}", "", column.kind),
        Column("effect", f"Δ {second}", "", column.kind, column.lower_is_better, signed=True),
    )

    def value(corner: Corner) -> Stat:
        return interaction.values[corner][metric]

    def effect(name: str) -> Stat:
        return interaction.effects[name][metric]

    def signed(name: str) -> str:
        return format_cell(difference_of(column), effect(name))

    rows: tuple[dict[str, Cell], ...] = (
        {
            "corner": f"{first}={before}",
            "before": value((0, 0)),
            "after": value((0, 1)),
            "effect": effect("second_alone"),
        },
        {
            "corner": f"{first}={after}",
            "before": value((1, 0)),
            "after": value((1, 1)),
            "effect": effect("second_with_first"),
        },
        {
            "corner": f"Δ {first}",
            "before": signed("first_alone"),
            "after": signed("first_with_second"),
            "effect": effect("interaction"),
        },
    )
    return Table(columns, rows)


def effect_table(interaction: Interaction) -> Table:
    """Every effect on every metric."""
    names = effect_names(interaction)
    columns = (
        Column("effect", "Effect", "What changes, and at which label of the other axis."),
        *(difference_of(column_of(metric)) for metric in interaction.metrics),
    )
    rows: tuple[dict[str, Cell], ...] = tuple(
        {"effect": names[name], **{f"delta:{metric}": stat for metric, stat in stats.items()}}
        for name, stats in interaction.effects.items()
    )
    return Table(columns, rows)


def effect_names(interaction: Interaction) -> dict[str, str]:
    """Each of EFFECTS in words."""
    (first, second), ((before, after), (second_before, second_after)) = interaction.axes, interaction.ablations
    one, two = f"{first} {before} → {after}", f"{second} {second_before} → {second_after}"
    words = (
        f"{one}, {second}={second_before}",
        f"{one}, {second}={second_after}",
        f"{two}, {first}={before}",
        f"{two}, {first}={after}",
        "sum of the two, each alone",
        "both together",
        "interaction: both together beyond the sum",
    )
    return dict(zip(EFFECTS, words, strict=True))


def interaction_csv(interactions: Sequence[Interaction]) -> str:
    """One line per 2 x 2 and metric in full precision: the four means, then every effect."""
    return csv_text(_line(interaction, metric) for interaction in interactions for metric in interaction.metrics)


def _line(interaction: Interaction, metric: str) -> dict[str, object]:
    cells: dict[str, object] = {}
    for place, axis, (before, after) in zip(("first", "second"), interaction.axes, interaction.ablations, strict=True):
        cells |= {place: axis, f"{place}_before": before, f"{place}_after": after}
    cells |= {
        "detectors": " ".join(interaction.detectors),
        "others": in_words(interaction.held),
        "cells": " ".join(interaction.rows[corner].record.cell_id for corner in CORNERS),
        "metric": metric,
        "n": interaction.seeds,
        "seeds": " ".join(map(str, interaction.samples)),
    }
    stats = {f"value_{corner[0]}{corner[1]}": values[metric] for corner, values in interaction.values.items()}
    stats |= {name: effects[metric] for name, effects in interaction.effects.items()}
    for name, stat in stats.items():
        cells |= {f"{name}_mean": stat.mean, f"{name}_std": stat.std}
    return cells
