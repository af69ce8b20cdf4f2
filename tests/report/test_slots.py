"""Detectors that are sides of one idea, and what must never be charged to it."""

import random

import pytest

from bench.report.ablations import compare_axes
from bench.report.leaderboard import build_boards

CR, SR = "computation_redistribution", "sample_redistribution"


@pytest.fixture
def cell(make_record):
    """A record of a detector under labels; the value is its AP."""

    def make(detector, value=0.5, seed=0, make=make_record, **changes):
        labels = changes.pop("labels")
        name = "-".join([detector, *labels.values(), *map(str, changes.values())]).replace(" ", "_")
        name = "".join(letter if letter.isalnum() else "_" for letter in name)
        metrics = {} if make is not make_record else {"metrics": {"val/AP_hard": value}}
        return make(detector=detector, cell_id=name, seed=seed, ablations=labels, **metrics, **changes)

    return make


def labels(budget=None, **others):
    return ({"budget": budget} if budget else {}) | others


def pairs_of(records):
    (board,) = build_boards(records)
    return [(pair.axis, pair.change, pair.detector) for pair in compare_axes(board)]


def grid(cell):
    """The 2 x 2 at two budgets: detectors base and best, redistribution of samples off and on; AP by hand."""
    return [
        cell(f"{side}_{budget[0]}", value, labels=labels(budget, **{CR: cr, SR: sr}))
        for budget, values in (("0.5 GF", (0.1, 0.2, 0.4, 0.7)), ("2.5 GF", (0.3, 0.35, 0.5, 0.6)))
        for (side, cr, sr), value in zip(
            (("base", "off", "off"), ("base", "off", "on"), ("best", "on", "off"), ("best", "on", "on")),
            values,
            strict=True,
        )
    ]


def test_an_axis_that_names_the_detectors_is_compared_across_them(cell):
    records = grid(cell)
    (board,) = build_boards(records)
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


def test_order_does_not_matter(cell):
    records = grid(cell)
    expected = pairs_of(records)
    for seed in range(3):
        assert pairs_of(random.Random(seed).sample(records, len(records))) == expected


def test_without_a_budget_the_detector_is_held_fixed(cell):
    records = [cell("base", labels={CR: "off"}), cell("best", labels={CR: "on"})]
    assert pairs_of(records) == []


def test_a_label_of_two_detectors_names_neither(cell):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"})),
        cell("other", labels=labels("0.5 GF", **{CR: "on"})),
    ]
    assert pairs_of(records) == []
    assert len(pairs_of(records[:2])) == 1


def test_a_side_that_failed_is_still_a_side(cell, failed):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"})),
        cell("other", labels=labels("0.5 GF", **{CR: "on"}), make=failed),
    ]
    assert pairs_of(records) == []


def test_one_budget_may_name_where_another_does_not(cell):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"})),
        cell("base_2", labels=labels("2.5 GF", **{CR: "off"})),
        cell("best_2", labels=labels("2.5 GF", **{CR: "on"})),
        cell("other_2", labels=labels("2.5 GF", **{CR: "on"})),
    ]
    assert pairs_of(records) == [(CR, "off → on", "base → best")]


def test_what_the_axis_does_not_say_is_not_compared(cell):
    """A detector of the slot without a label of the axis is neither side, whichever detector it is."""
    sides = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"})),
    ]
    for detector in ("stranger", "base"):
        records = [*sides, cell(detector, labels=labels("0.5 GF"))]
        assert pairs_of(records) == [(CR, "off → on", "base → best")]


def test_two_axes_that_change_together_are_charged_with_nothing(cell):
    records = [
        cell("base", labels=labels("0.5 GF", pretrained="off", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", pretrained="on", **{CR: "on"})),
    ]
    assert pairs_of(records) == []


@pytest.mark.parametrize("elsewhere", ["2.5 GF", None])
def test_a_setting_of_an_unfinished_grid_is_no_name(cell, elsewhere):
    """Each detector has run with one setting so far, as if the setting named it; another one has run with both."""
    records = [
        cell("base", labels=labels("0.5 GF", **{SR: "off"})),
        cell("best", labels=labels("0.5 GF", **{SR: "on"})),
        cell("third", labels=labels(elsewhere, **{SR: "off"})),
        cell("third", labels=labels(elsewhere, **{SR: "on"})),
    ]
    assert pairs_of(records) == [(SR, "off → on", "third")]


def test_an_unfinished_grid_with_its_naming_axis_compares_only_what_it_may(cell):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off", SR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on", SR: "on"})),
    ]
    assert pairs_of(records) == []


@pytest.mark.parametrize("axis", ["postprocess", "overrides"])
def test_what_every_run_may_have_names_no_detector(cell, axis):
    records = [
        cell(detector, labels=labels("0.5 GF", **{axis: label}), protocol={"postprocess": "nms"})
        for detector, label in (("base", "a"), ("best", "b"))
    ]
    assert pairs_of(records) == []


def test_budgets_are_no_axis(cell):
    records = [cell("same", labels=labels(budget)) for budget in ("0.5 GF", "2.5 GF")]
    assert pairs_of(records) == []


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": {"schedule": "smoke"}},
        {"provenance": {"weights": "imported"}},
        {"provenance": {"train_dataset": {"name": "synth_faces"}}},
        {"protocol": {"postprocess": "blending"}},
    ],
)
def test_sides_that_differ_in_more_are_not_compared(cell, change):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"}), **change),
    ]
    assert pairs_of(records) == []


def test_rows_that_look_alike_are_neither_side(cell, make_record):
    records = [
        cell("base", labels=labels("0.5 GF", **{CR: "off"})),
        cell("best", labels=labels("0.5 GF", **{CR: "on"})),
        make_record(detector="best", cell_id="twin", ablations=labels("0.5 GF", **{CR: "on"})),
    ]
    assert pairs_of(records) == []
