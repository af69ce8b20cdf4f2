import random

import pytest

from bench.report.compare.leaderboard import build_boards
from bench.report.compare.statistics import Stat, summarise


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
        make_record(detector="a", seed=0, metrics=ap(0.5)),
        make_record(detector="a", seed=1, metrics=ap(0.7)),
        make_record(detector="b", metrics=ap(0.65)),
    ]
    (board,) = build_boards(records)
    assert [(row.rank, row.detector) for row in board.rows] == [(1, "b"), (2, "a")]
    stat = board.rows[1].values["val/AP_hard"]
    assert (stat.mean, stat.n) == (pytest.approx(0.6), 2)
    assert stat.std == pytest.approx(0.02**0.5)  # squares of -0.1 and 0.1 over 1
    assert board.rows[0].values["val/AP_hard"].std is None


def test_nothing_is_ranked_across_boards(make_record):
    records = [
        make_record(),
        make_record(dataset={"split": "test"}),
        make_record(protocol={"version": 2}),
        make_record(protocol={"name": "wider_1650"}),
        make_record(dataset={"images": 96}),
        make_record(dataset={"annotation_hash": "ffff0000"}),
    ]
    boards = build_boards(records)
    assert len(boards) == 6
    assert all(len(board.rows) == 1 for board in boards)
    assert len({board.title for board in boards}) == len({board.slug for board in boards}) == 6
    assert any("96 images" in board.title for board in boards)
    assert any("ffff0000" in board.title for board in boards)


def test_the_pictures_themselves_make_no_board(make_record):
    records = [make_record(seed=seed, dataset={"image_hash": digest}) for seed, digest in ((0, "aa"), (1, None))]
    (board,) = build_boards(records)
    assert len(board.rows) == 1


def derived(name="wider_vga+1a2b3c4d", **changes):
    return {"name": name, "base": "wider_vga", "changes": changes}


def test_a_changed_protocol_is_another_board_that_says_so_after_its_base(make_record):
    records = [
        make_record(protocol=derived(score_threshold=0.05, **{"resize.size": 320})),
        make_record(protocol={"name": "wider_vga_2"}),
        make_record(),
        make_record(dataset={"images": 96}),
        make_record(protocol={"name": "wider_320"}),
    ]
    assert [board.title for board in build_boards(records)] == [
        "wider_face val · wider_320 v1 · 3,226 images",
        "wider_face val · wider_vga v1 · 96 images",
        "wider_face val · wider_vga v1 · 3,226 images",
        "wider_face val · wider_vga v1 with resize.size=320, score_threshold=0.05 · 3,226 images",
        "wider_face val · wider_vga_2 v1 · 3,226 images",
    ]
    assert build_boards(records[:1])[0].slug == "wider_face_val_wider_vga-1a2b3c4d_v1"


def test_order_of_records_does_not_matter(make_record, failed):
    records = [
        make_record(detector=d, seed=s, metrics=ap(0.5), protocol={"postprocess": post}, training={"depth": depth})
        for d in "abc"
        for post in ("nms", "blending")
        for s in range(3)
        for depth in (2, 3)
    ]
    records.append(failed(detector="z", seed=9))
    expected = build_boards(records)
    for seed in range(3):
        shuffled = random.Random(seed).sample(records, len(records))
        assert build_boards(shuffled) == expected


def test_ties_share_a_rank_and_go_by_macs(make_record):
    records = [
        make_record(detector="a", metrics=ap(0.5), cost={"macs": 9}),
        make_record(detector="b", metrics=ap(0.5), cost={"macs": 3}),
        make_record(detector="c", metrics=ap(0.4)),
        make_record(detector="d", metrics={"val/other": 1.0}),
    ]
    (board,) = build_boards(records)
    assert [(row.rank, row.detector) for row in board.rows] == [(1, "b"), (1, "a"), (3, "c"), (None, "d")]


def test_primary_metric_by_preference(make_record):
    records = [
        make_record(detector="a", metrics={"val/AP": 0.2, "val/AP50": 0.6}),
        make_record(detector="b", metrics={"val/AP": 0.3, "val/AP50": 0.5}),
    ]
    assert build_boards(records)[0].primary == "val/AP"
    (board,) = build_boards(records, primary=("val/AP50",))
    assert [row.detector for row in board.rows] == ["a", "b"]
    (jitter,) = build_boards([make_record(detector=d, metrics={"val/jitter": v}) for d, v in (("a", 3.0), ("b", 1.0))])
    assert [row.detector for row in jitter.rows] == ["b", "a"]  # lower is better


def test_columns_are_the_union_of_metrics(make_record):
    records = [
        make_record(detector="a", metrics={"val/z": 0.1, "val/AP50": 0.2}),
        make_record(detector="b", metrics={"val/AP": 0.3}),
    ]
    (board,) = build_boards(records)
    assert board.metrics == ["val/AP", "val/AP50", "val/z"]


def test_failures_are_beneath_and_have_no_value(make_record, failed):
    (board,) = build_boards([make_record(), failed(seed=1), failed(detector="other", status="timeout")])
    assert [row.values["val/AP_hard"].n for row in board.rows] == [1]
    assert [(record.detector, record.status) for record in board.failures] == [
        ("other", "timeout"),
        ("scrfd_2.5g", "diverged"),
    ]
