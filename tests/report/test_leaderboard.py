import random

import pytest

from bench.report.leaderboard import build_boards
from bench.report.statistics import Stat, summarise


def ap(value):
    return {"val/AP_hard": value}


def test_summarise_by_hand():
    assert summarise([0.5]) == Stat(0.5, None, 1)
    stat = summarise([1.0, 2.0, 3.0])
    assert stat == Stat(2.0, 1.0, 3)  # squares of -1, 0, 1 over n - 1 = 2
    with pytest.raises(ValueError, match="at least one"):
        summarise([])


def test_seeds_are_averaged_and_rows_ranked(make_record):
    records = [
        make_record(detector="a", cell_id="a", seed=0, metrics=ap(0.5)),
        make_record(detector="a", cell_id="a", seed=1, metrics=ap(0.7)),
        make_record(detector="b", cell_id="b", metrics=ap(0.65)),
    ]
    (board,) = build_boards(records)
    assert [(row.rank, row.detector) for row in board.rows] == [(1, "b"), (2, "a")]
    stat = board.rows[1].values["val/AP_hard"]
    assert (stat.mean, stat.n) == (pytest.approx(0.6), 2)
    assert stat.std == pytest.approx(0.02**0.5)  # squares of -0.1 and 0.1 over 1
    assert board.rows[0].values["val/AP_hard"].std is None


def test_nothing_is_ranked_across_boards(make_record):
    records = [
        make_record(cell_id="a"),
        make_record(cell_id="b", dataset={"split": "test"}),
        make_record(cell_id="c", protocol={"version": 2}),
        make_record(cell_id="d", protocol={"name": "wider_1650"}),
        make_record(cell_id="e", dataset={"images": 96}),
        make_record(cell_id="f", dataset={"annotation_hash": "ffff0000"}),
    ]
    boards = build_boards(records)
    assert len(boards) == 6
    assert all(len(board.rows) == 1 for board in boards)
    assert len({board.title for board in boards}) == len({board.slug for board in boards}) == 6
    assert any("96 images" in board.title for board in boards)
    assert any("ffff0000" in board.title for board in boards)


def test_order_of_records_does_not_matter(make_record, failed):
    records = [
        make_record(detector=d, cell_id=d + post, seed=s, metrics=ap(0.5), protocol={"postprocess": post})
        for d in "abc"
        for post in ("nms", "blending")
        for s in range(3)
    ]
    records.append(failed(cell_id="z", seed=9))
    expected = build_boards(records)
    for seed in range(3):
        shuffled = random.Random(seed).sample(records, len(records))
        assert build_boards(shuffled) == expected


def test_ties_share_a_rank_and_go_by_macs(make_record):
    records = [
        make_record(detector="a", cell_id="a", metrics=ap(0.5), cost={"macs": 9}),
        make_record(detector="b", cell_id="b", metrics=ap(0.5), cost={"macs": 3}),
        make_record(detector="c", cell_id="c", metrics=ap(0.4)),
        make_record(detector="d", cell_id="d", metrics={"val/other": 1.0}),
    ]
    (board,) = build_boards(records)
    assert [(row.rank, row.detector) for row in board.rows] == [(1, "b"), (1, "a"), (3, "c"), (None, "d")]


def test_primary_metric_by_preference(make_record):
    records = [
        make_record(detector="a", cell_id="a", metrics={"val/AP": 0.2, "val/AP50": 0.6}),
        make_record(detector="b", cell_id="b", metrics={"val/AP": 0.3, "val/AP50": 0.5}),
    ]
    assert build_boards(records)[0].primary == "val/AP"
    (board,) = build_boards(records, primary=("val/AP50",))
    assert [row.detector for row in board.rows] == ["a", "b"]
    (jitter,) = build_boards(
        [make_record(detector=d, cell_id=d, metrics={"val/jitter": v}) for d, v in (("a", 3.0), ("b", 1.0))]
    )
    assert [row.detector for row in jitter.rows] == ["b", "a"]  # lower is better


def test_what_differs_is_never_averaged(make_record):
    records = [
        make_record(cell_id="a", seed=0, metrics=ap(0.5)),
        make_record(cell_id="a1", seed=1, provenance={"schedule": "smoke"}, metrics=ap(0.1)),
        make_record(cell_id="a2", seed=2, ablations={"neck": "bifpn"}, metrics=ap(0.6)),
        make_record(cell_id="a3", seed=3, protocol={"postprocess": "blending"}, metrics=ap(0.7)),
        make_record(cell_id="a4", seed=4, provenance={"train_dataset": {"name": "synth_faces"}}, metrics=ap(0.2)),
        make_record(cell_id="a6", seed=0, provenance={"epochs": 12}, metrics=ap(0.3)),
        make_record(cell_id="a5", seed=5, metrics=ap(0.9)),  # looks like the first, but is another cell
    ]
    (board,) = build_boards(records)
    assert len(board.rows) == 7
    assert {row.ablations for row in board.rows if row.ambiguous} == {"cell a", "cell a5"}


def test_columns_are_the_union_of_metrics(make_record):
    records = [
        make_record(cell_id="a", metrics={"val/z": 0.1, "val/AP50": 0.2}),
        make_record(cell_id="b", metrics={"val/AP": 0.3}),
    ]
    (board,) = build_boards(records)
    assert board.metrics == ["val/AP", "val/AP50", "val/z"]


def test_failures_are_beneath_and_have_no_value(make_record, failed):
    (board,) = build_boards(
        [make_record(cell_id="a"), failed(cell_id="a", seed=1), failed(cell_id="b", status="timeout")]
    )
    assert [row.values["val/AP_hard"].n for row in board.rows] == [1]
    assert [(record.cell_id, record.status) for record in board.failures] == [("a", "diverged"), ("b", "timeout")]


def test_a_failure_that_never_read_its_data_joins_the_only_board(make_record, failed):
    unread = failed(cell_id="u", dataset={"images": None, "annotation_hash": None})
    (board,) = build_boards([make_record(), unread])
    assert board.failures == (unread,)
    boards = build_boards([make_record(), make_record(cell_id="o", dataset={"images": 96}), unread])
    assert [board.title for board in boards if board.failures] == ["wider_face val · wider_vga v1 · data not read"]


def test_settings_that_differ_within_a_protocol_are_seen(make_record):
    settings = {"size": 640, "score_threshold": 0.02}
    records = [
        make_record(cell_id="a", detector="a", protocol={"settings": settings}),
        make_record(cell_id="b", detector="b", protocol={"settings": settings | {"score_threshold": 0.5}}),
        make_record(
            cell_id="c", detector="c", protocol={"settings": settings | {"iou": 0.3}, "postprocess": "blending"}
        ),
    ]
    (board,) = build_boards(records)
    assert {row.detector: row.settings for row in board.rows} == {
        "a": "score_threshold=0.02",
        "b": "score_threshold=0.5",
        "c": "",
    }
