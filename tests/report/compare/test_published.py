"""Which published row stands beside which measured one, how far off it is, and why that may be."""

import pytest

from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.tables.reported_tables import unmeasured_table

from ..conftest import published_row, reported_with

DATA = {"name": "wider_face", "split": "train", "images": 12880}
TRAINED = {"recipe": {"epochs": 640}, "data": DATA}


def published_of(records, reported):
    (board,) = build_boards(records)
    return report_on(board, reported).published


def reasons_of(record, reported=None):
    (pair,) = published_of([record], reported or reported_with()).counterparts
    return list(pair.reasons)


def test_difference_of_the_mean_over_seeds_by_hand(make_record):
    records = [
        make_record(seed=seed, metrics={"val/AP_hard": ap, "val/AP_easy": 0.9}) for seed, ap in ((0, 0.70), (1, 0.76))
    ]
    (pair,) = published_of(records, reported_with()).counterparts
    assert pair.differences == {"val/AP_hard": pytest.approx(-0.02)}  # neither easy nor medium is in both


def test_every_name_of_a_published_row_stands_beside_it(make_record):
    records = [make_record(detector=name) for name in ("scrfd_2.5g", "scrfd_2.5g_onnx", "scrfd_2.5g_other")]
    published = published_of(records, reported_with())
    assert sorted(pair.row.detector for pair in published.counterparts) == ["scrfd_2.5g", "scrfd_2.5g_onnx"]
    assert published.unmeasured == ()


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"name": "coco"}},
        {"dataset": {"split": "test"}},
        {"protocol": {"name": "wider_1650"}},
        {"protocol": {"name": "wider_vga+1a2b3c4d", "base": "wider_vga", "changes": {"score_threshold": 0.05}}},
        {"protocol": {"name": "wider_vga", "base": "wider_original", "changes": {"score_threshold": 0.05}}},
    ],
)
def test_other_data_or_protocol_has_no_counterpart(make_record, change):
    published = published_of([make_record(**change)], reported_with())
    assert (published.counterparts, published.unmeasured) == ((), ())


def test_published_rows_without_a_measured_one_keep_their_order(make_record):
    without, other = published_row(detectors=(), method="B"), published_row(detectors=("a",), method="A")
    reported = reported_with(without, published_row(), other)
    published = published_of([make_record()], reported)
    assert [entry.row.method for entry in published.unmeasured] == ["B", "A"]
    table = unmeasured_table(published.unmeasured)
    assert "rank" not in {column.key for column in table.columns}
    assert not table.ranked


def test_a_full_training_on_all_images_has_nothing_to_say(make_record):
    records = [make_record(seed=seed, ablations={"sample_redistribution": "on"}, training=TRAINED) for seed in (0, 1)]
    (pair,) = published_of(records, reported_with()).counterparts
    assert pair.reasons == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": {"images": 394}}, "394 of the published 3,226 images"),
        ({"dataset": {"images": 4000}}, "4,000 images"),
        ({"provenance": {"schedule": "smoke"}}, "smoke schedule (640 epochs), not the published recipe"),
        ({"provenance": {"schedule": "proxy"}, "training": {}}, "proxy schedule, not the published recipe"),
        ({"training": TRAINED | {"data": DATA | {"images": 710}}}, "trained on 710 of 12,880 images"),
        ({"training": {"data": DATA | {"name": "synth_faces"}}}, "trained on synth_faces train (12,880 images)"),
        ({"provenance": {"weights": "imported", "schedule": "none"}}, "imported weights"),
        ({"provenance": {"weights": "random", "schedule": "none"}}, "random weights"),
        ({"provenance": {"weights": "predictions", "schedule": "none"}}, "a file of predictions"),
        ({"protocol": {"postprocess": "blending"}}, "postprocess=blending, published nms"),
        ({"ablations": {"sample_redistribution": "off"}}, "sample_redistribution=off, published on"),
        ({"ablations": {"neck": "bifpn"}}, "neck=bifpn"),
        ({"changes": {"recipe.lr": 0.02}}, "recipe.lr=0.02"),
        (
            {"evaluation": {"protocol": {"looks": [{"flip": False}, {"flip": True}]}}},
            "test-time augmentation of 2 looks",
        ),
    ],
)
def test_reasons_follow_from_the_record(make_record, change, reason):
    usual = {"training": TRAINED}
    plain = reasons_of(make_record(**usual))
    assert plain == ["one seed"]
    changed = reasons_of(make_record(**usual | change))
    if change.get("provenance", {}).get("weights"):  # not trained here: nothing of a training is named
        assert changed == [reason]
    else:
        assert set(changed) == {"one seed", reason}


def test_ablations_that_only_name_the_row_are_no_reason(make_record):
    record = make_record(ablations={"budget": "2.5 GF", "name": "mine"}, training=TRAINED)
    assert reasons_of(record) == ["one seed"]


def test_a_source_may_leave_the_post_processor_unsaid(make_record):
    reported = reported_with(published_row(ablations={}))
    assert reasons_of(make_record(training=TRAINED), reported) == ["one seed", "postprocess=nms, published not said"]


def test_a_note_of_the_published_row_is_a_reason(make_record):
    reported = reported_with(published_row(note="published after 400 epochs"))
    assert reasons_of(make_record(training=TRAINED), reported) == ["one seed", "published after 400 epochs"]


def test_cost_compares_at_one_size_and_of_one_look(make_record):
    def ratios(**cost):
        (pair,) = published_of([make_record(cost=cost)], reported_with()).counterparts
        return pair.cost_ratios

    assert ratios(params=737_000, macs=2_277_000_000) == {
        "cost/params": pytest.approx(0.1),
        "cost/macs": pytest.approx(-0.1),
    }
    assert set(ratios(input_size=(640, 640))) == {"cost/params"}
    assert set(ratios(looks=((480, 640), (480, 640)))) == {"cost/params"}
    (pair,) = published_of([make_record(cost=None)], reported_with()).counterparts
    assert pair.cost_ratios == {}
