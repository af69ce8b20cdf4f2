import pytest

from bench.report.compare.ablations import compare_axes
from bench.report.compare.leaderboard import build_boards


def ap(value):
    return {"val/AP_hard": value}


def pairs_of(records):
    (board,) = build_boards(records)
    return compare_axes(board)


def test_pairs_are_compared_seed_by_seed(make_record):
    off, on = {"sample_redistribution": "off"}, {"sample_redistribution": "on"}
    records = [make_record(seed=s, ablations=off, metrics=ap(v)) for s, v in ((0, 0.50), (1, 0.60), (2, 0.9))]
    records += [make_record(seed=s, ablations=on, metrics=ap(v)) for s, v in ((0, 0.52), (1, 0.66), (7, 0.1))]
    (pair,) = pairs_of(records)
    assert (pair.axis, pair.change, pair.seeds) == ("sample_redistribution", "off → on", 2)
    delta = pair.deltas["val/AP_hard"]  # differences 0.02 and 0.06; seeds 2 and 7 have no partner
    assert (delta.mean, delta.n) == (pytest.approx(0.04), 2)
    assert delta.std == pytest.approx((2 * 0.02**2) ** 0.5)


def test_only_rows_that_differ_in_one_axis_are_paired(make_record):
    def row(ablations, post="nms", **changes):
        return make_record(ablations=ablations, protocol={"postprocess": post}, **changes)

    records = [
        row({}),
        row({"neck": "bifpn"}),
        row({"neck": "bifpn"}, "blending"),
        row({"neck": "bifpn"}, detector="other"),
        row({"neck": "panet"}, provenance={"schedule": "smoke"}),
    ]
    assert [(p.axis, p.change, p.detector, p.before.ablations, p.after.ablations) for p in pairs_of(records)] == [
        ("neck", "default → bifpn", "scrfd_2.5g", {"postprocess": "nms"}, {"postprocess": "nms", "neck": "bifpn"}),
        (
            "postprocess",
            "nms → blending",
            "scrfd_2.5g",
            {"postprocess": "nms", "neck": "bifpn"},
            {"postprocess": "blending", "neck": "bifpn"},
        ),
    ]


def test_a_change_is_never_charged_to_an_axis(make_record):
    fast = {"recipe.lr": 0.02}
    records = [
        make_record(ablations={"neck": "none"}),
        make_record(ablations={"neck": "bifpn"}, changes=fast),
        make_record(ablations={"neck": "panet"}, changes=fast),
    ]
    (pair,) = pairs_of(records)
    assert (pair.change, pair.before.changes, pair.after.changes) == ("bifpn → panet", fast, fast)
    assert pair.held == {"postprocess": "nms", "recipe.lr": 0.02, "schedule": "full", "weights": "trained"}


def test_three_labels_give_three_pairs_and_costs_are_compared(make_record):
    records = [
        make_record(ablations={"neck": neck}, cost={"macs": macs})
        for neck, macs in (("none", 10), ("fpn", 14), ("bifpn", 13))
    ]
    assert [(pair.change, pair.deltas["cost/macs"].mean) for pair in pairs_of(records)] == [
        ("none → bifpn", 3), ("none → fpn", 4), ("bifpn → fpn", 1),
    ]  # fmt: skip


def test_no_seed_in_common_gives_no_number(make_record):
    (pair,) = pairs_of([make_record(seed=0), make_record(seed=1, ablations={"neck": "bifpn"})])
    assert (pair.seeds, pair.deltas) == (0, {})


def test_rows_of_one_name_are_not_paired(make_record):
    records = [
        make_record(),
        make_record(training={"model": {"depth": 3}}),
        make_record(ablations={"neck": "bifpn"}),
    ]
    assert pairs_of(records) == []
