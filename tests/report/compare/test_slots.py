"""Detectors that are sides of one idea, and what must never be charged to it."""

import random

import pytest

from bench.report.compare.ablations import compare_axes
from bench.report.compare.leaderboard import build_boards

CR, SR = "computation_redistribution", "sample_redistribution"


@pytest.fixture
def side(make_record):
    """A record of one detector of a budget, which the axis CR names."""

    def make(detector, cr, value=0.5, budget="0.5 GF", axis=CR, ablations=None, **changes):
        return make_record(
            detector=detector,
            detector_axis=axis,
            ablations={"budget": budget, CR: cr} | (ablations or {}),
            metrics={"val/AP_hard": value},
            **changes,
        )

    return make


def pairs_of(records):
    (board,) = build_boards(records)
    return [(pair.axis, pair.change, pair.detector) for pair in compare_axes(board)]


@pytest.fixture
def grid(side):
    """The 2 x 2 at two budgets: detectors base and best, redistribution of samples off and on; AP by hand."""
    return [
        side(f"{name}_{budget[0]}", cr, value, budget, ablations={SR: sr})
        for budget, values in (("0.5 GF", (0.1, 0.2, 0.4, 0.7)), ("2.5 GF", (0.3, 0.35, 0.5, 0.6)))
        for (name, cr, sr), value in zip(
            (("base", "off", "off"), ("base", "off", "on"), ("best", "on", "off"), ("best", "on", "on")),
            values,
            strict=True,
        )
    ]


def test_an_axis_that_names_the_detectors_is_compared_across_them(grid):
    (board,) = build_boards(grid)
    found = {
        (pair.axis, pair.detector, pair.held.get(SR) or pair.held.get(CR)): pair.deltas["val/AP_hard"].mean
        for pair in compare_axes(board)
    }
    assert found == {
        (CR, "base_0 → best_0", "off"): pytest.approx(0.3),
        (CR, "base_0 → best_0", "on"): pytest.approx(0.5),
        (CR, "base_2 → best_2", "off"): pytest.approx(0.2),
        (CR, "base_2 → best_2", "on"): pytest.approx(0.25),
        (SR, "base_0", "off"): pytest.approx(0.1),
        (SR, "best_0", "on"): pytest.approx(0.3),
        (SR, "base_2", "off"): pytest.approx(0.05),
        (SR, "best_2", "on"): pytest.approx(0.1),
    }
    assert {pair.change for pair in compare_axes(board)} == {"off → on"}


def test_order_does_not_matter(grid):
    expected = pairs_of(grid)
    for seed in range(3):
        assert pairs_of(random.Random(seed).sample(grid, len(grid))) == expected


def test_without_a_declared_axis_or_a_budget_the_detector_is_held_fixed(side, make_record):
    assert pairs_of([side("base", "off", axis=None), side("best", "on", axis=None)]) == []
    assert pairs_of([side("base", "off", axis=SR), side("best", "on", axis=SR)]) == []
    alone = [
        make_record(detector=detector, detector_axis=CR, ablations={CR: cr})
        for detector, cr in (("base", "off"), ("best", "on"))
    ]
    assert pairs_of(alone) == []


def test_two_sides_of_one_label_are_each_compared_with_the_other_label(side):
    records = [side("base", "off"), side("best", "on"), side("other", "on")]
    assert pairs_of(records) == [(CR, "off → on", "base → best"), (CR, "off → on", "base → other")]


def test_what_the_axis_does_not_say_is_not_compared(side, make_record):
    """A detector of the slot without a label of the axis is neither side, whichever detector it is."""
    sides = [side("base", "off"), side("best", "on")]
    for detector in ("stranger", "base"):
        unnamed = make_record(detector=detector, detector_axis=CR, ablations={"budget": "0.5 GF"})
        assert pairs_of([*sides, unnamed]) == [(CR, "off → on", "base → best")]


def test_two_axes_that_change_together_are_charged_with_nothing(side):
    records = [
        side("base", "off", ablations={"pretrained": "off"}),
        side("best", "on", ablations={"pretrained": "on"}),
    ]
    assert pairs_of(records) == []


def test_budgets_are_no_axis(make_record):
    records = [make_record(ablations={"budget": budget}) for budget in ("0.5 GF", "2.5 GF")]
    assert pairs_of(records) == []


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": {"schedule": "smoke"}},
        {"provenance": {"weights": "imported"}},
        {"training": {"data": {"name": "synth_faces"}}},
        {"training": {"recipe": {"epochs": 7}}},
        {"changes": {"recipe.lr": 0.02}},
        {"protocol": {"postprocess": "blending"}},
        {"evaluation": {"protocol": {"score_threshold": 0.5}}},
    ],
)
def test_sides_that_differ_in_more_are_not_compared(side, change):
    assert pairs_of([side("base", "off"), side("best", "on", **change)]) == []


def test_rows_of_one_name_are_neither_side(side):
    twin = side("best", "on", training={"model": {"depth": 3}})
    assert pairs_of([side("base", "off"), side("best", "on"), twin]) == []
