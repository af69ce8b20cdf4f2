"""Seeds that were not measured from one committed state are marked."""

import csv
import io

import pytest

from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.compare.marks import marked, mixture_of, notes_of
from bench.report.site.page import render_page
from bench.report.tables.markdown import markdown_boards, markdown_document
from bench.report.tables.spreadsheets import leaderboard_csv

OLD, NEW = {"git_commit": "1" * 40}, {"git_commit": "2" * 40}
TORCH = {"versions": {"torch": "2.15.0", "timm": "1.0.31"}}


@pytest.fixture
def row_of(make_record):
    """The one row of seeds with these runs: training and evaluation each."""

    def row(*runs):
        records = [
            make_record(seed=seed, provenance={"training": training, "evaluation": evaluation})
            for seed, (training, evaluation) in enumerate(runs)
        ]
        (board,) = build_boards(records)
        (row,) = board.rows
        return row

    return row


@pytest.mark.parametrize(
    ("runs", "mixture"),
    [
        ([(OLD, OLD), (OLD, OLD)], ""),
        ([(OLD, NEW)], ""),  # evaluated later: one seed is no mixture
        ([(OLD, NEW), (OLD, NEW)], ""),
        ([(OLD, OLD), (NEW, NEW)], "training and evaluation: commits 1111111 and 2222222"),
        ([(OLD, NEW), (NEW, NEW)], "training: commits 1111111 and 2222222"),
        ([(OLD, {}), (OLD, TORCH)], "evaluation: timm none and 1.0.31, torch 2.11.0 and 2.15.0"),
        (
            [(OLD, OLD), (OLD, OLD | TORCH), ({"git_commit": None}, OLD)],
            "training: commits 1111111 and unknown; evaluation: timm none and 1.0.31, torch 2.11.0 and 2.15.0",
        ),
        (
            [({"git_commit": digit * 40}, {}) for digit in "3133"],
            "training: commits 3333333 and 1111111",
        ),
        ([({"git_commit": digit * 40}, {}) for digit in "312"], "training: commits 3333333, 1111111 and 2222222"),
        ([(None, OLD), (None, NEW)], "evaluation: commits 1111111 and 2222222"),
    ],
)
def test_mixtures_are_told_in_words(row_of, runs, mixture):
    row = row_of(*runs)
    assert mixture_of(row) == mixture
    assert marked(row) == ("scrfd_2.5g ‡" if mixture else "scrfd_2.5g")


def test_uncommitted_changes_of_either_run(row_of):
    dirty = {"git_dirty": True}
    assert marked(row_of((dirty, {}))) == marked(row_of(({}, dirty))) == "scrfd_2.5g †"
    assert marked(row_of(({}, dirty | OLD), ({}, NEW))) == "scrfd_2.5g †‡"


def records_of(make_record):
    """Rows a and b from two commits, c from one."""
    return [
        make_record(detector=name, seed=seed, metrics={"val/AP_hard": ap}, provenance={"training": run})
        for name, ap, runs in (("a", 0.9, (OLD, NEW)), ("b", 0.8, (OLD, NEW)), ("c", 0.7, (NEW, NEW)))
        for seed, run in enumerate(runs)
    ]


def test_rows_of_the_same_mixture_are_told_together(make_record):
    (board,) = build_boards(records_of(make_record))
    assert notes_of(board.rows) == [
        "‡ seeds ran at different commits or package versions. Training: commits 1111111 and 2222222 (#1 a, #2 b)."
    ]


def test_signs_and_notes_are_everywhere(make_record):
    (board,) = build_boards(records_of(make_record))
    report = report_on(board)
    for text in (markdown_document([report]), markdown_boards([report]), render_page([report])):
        assert all(part in text for part in ("a ‡", "b ‡", "commits 1111111 and 2222222 (#1 a, #2 b)"))
        assert "c ‡" not in text
    first, _, third = csv.DictReader(io.StringIO(leaderboard_csv(board)))
    assert first["mixed_seeds"] == "training: commits 1111111 and 2222222"
    assert first["git_commits"].split() == ["1" * 40, "c0ffee" * 6, "2" * 40]
    assert third["mixed_seeds"] == ""
