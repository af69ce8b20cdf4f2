"""Two ideas together, as tables for people and as CSV."""

from collections.abc import Sequence

from bench.records.identity import in_words
from bench.report.columns import Column, column_of, difference_of
from bench.report.compare.interactions import CORNERS, EFFECTS, Corner, Interaction
from bench.report.compare.statistics import Stat
from bench.report.tables.formatting import Cell, format_cell
from bench.report.tables.spreadsheets import csv_text
from bench.report.tables.table import Table

ONE_SEED = "One seed: how much of this is chance is not known."


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
