import pytest

from bench.report.ablations import compare_axes
from bench.report.leaderboard import build_boards


def ap(value):
    return {"val/AP_hard": value}


def test_pairs_are_compared_seed_by_seed(make_record):
    off, on = {"sample_redistribution": "off"}, {"sample_redistribution": "on"}
    records = [
        make_record(cell_id="off", seed=s, ablations=off, metrics=ap(v)) for s, v in ((0, 0.50), (1, 0.60), (2, 0.9))
    ]
    records += [
        make_record(cell_id="on", seed=s, ablations=on, metrics=ap(v)) for s, v in ((0, 0.52), (1, 0.66), (7, 0.1))
    ]
    (pair,) = compare_axes(build_boards(records)[0])
    assert (pair.axis, pair.change, pair.seeds) == ("sample_redistribution", "off → on", 2)
    delta = pair.deltas["val/AP_hard"]  # differences 0.02 and 0.06; seeds 2 and 7 have no partner
    assert (delta.mean, delta.n) == (pytest.approx(0.04), 2)
    assert delta.std == pytest.approx((2 * 0.02**2) ** 0.5)


def test_only_rows_that_differ_in_one_axis_are_paired(make_record):
    def row(cell, ablations, post="nms", **changes):
        return make_record(cell_id=cell, ablations=ablations, protocol={"postprocess": post}, **changes)

    records = [
        row("1", {}),
        row("2", {"neck": "bifpn"}),
        row("3", {"neck": "bifpn"}, "blending"),
        row("4", {"neck": "bifpn"}, detector="other"),
        row("5", {"neck": "panet"}, provenance={"schedule": "smoke"}),
    ]
    pairs = compare_axes(build_boards(records)[0])
    assert [(p.axis, p.change, p.before.record.cell_id, p.after.record.cell_id) for p in pairs] == [
        ("neck", "default → bifpn", "1", "2"),
        ("postprocess", "nms → blending", "2", "3"),
    ]


def test_three_labels_give_three_pairs_and_costs_are_compared(make_record):
    records = [
        make_record(cell_id=neck, ablations={"neck": neck}, cost={"macs": macs})
        for neck, macs in (("none", 10), ("fpn", 14), ("bifpn", 13))
    ]
    pairs = compare_axes(build_boards(records)[0])
    assert [(pair.change, pair.deltas["cost/macs"].mean) for pair in pairs] == [
        ("none → bifpn", 3), ("none → fpn", 4), ("bifpn → fpn", 1),
    ]  # fmt: skip


def test_no_seed_in_common_gives_no_number(make_record):
    records = [make_record(cell_id="a", seed=0), make_record(cell_id="b", seed=1, ablations={"neck": "bifpn"})]
    (pair,) = compare_axes(build_boards(records)[0])
    assert (pair.seeds, pair.deltas) == (0, {})


def test_rows_that_look_alike_are_not_paired(make_record):
    records = [
        make_record(cell_id="a"),
        make_record(cell_id="b"),
        make_record(cell_id="c", ablations={"neck": "bifpn"}),
    ]
    assert compare_axes(build_boards(records)[0]) == []
