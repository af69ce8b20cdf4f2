import csv
import io

import pytest

from bench.report.columns import COLUMNS, Column, column_of, difference_of
from bench.report.compare.ablations import compare_axes
from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.compare.statistics import Stat
from bench.report.tables.board_tables import ablation_table, leaderboard_table
from bench.report.tables.formatting import format_cell, format_number
from bench.report.tables.markdown import markdown_boards, markdown_document, markdown_table
from bench.report.tables.spreadsheets import ablation_csv, leaderboard_csv


@pytest.mark.parametrize(
    ("key", "cell", "text"),
    [
        ("val/AP_hard", Stat(0.81234, None, 1), "81.23"),
        ("val/AP_hard", Stat(0.812, 0.004, 3), "81.20 ± 0.40 (3)"),
        ("cost/params", Stat(670_000, None, 1), "0.670"),
        ("cost/macs", Stat(2.5e9, 0.0, 3), "2.50"),
        ("cost/macs", Stat(2.5e9, 1e8, 3), "2.50 ± 0.100 (3)"),
        ("speed/cpu_fp32_b1/forward_ms_p50", Stat(12.345, None, 1), "12.35"),
        ("val/jitter", Stat(0.0123456, None, 1), "0.01235"),
        ("detector", "scrfd", "scrfd"),
        ("val/AP", None, "–"),
    ],
)
def test_cells_as_people_read_them(key, cell, text):
    assert format_cell(column_of(key), cell) == text


def test_differences_have_a_sign_unless_they_round_to_nothing():
    column = difference_of(column_of("val/AP"))
    assert format_cell(column, Stat(0.012, None, 1)) == "+1.20"
    assert format_cell(column, Stat(-0.012, 0.003, 2)) == "−1.20 ± 0.30 (2)"
    assert format_number("fraction", -0.000001, signed=True) == "0.00"


def test_columns_describe_themselves():
    assert all(column.definition.endswith(".") and column.title for column in COLUMNS.values())
    assert column_of("speed/cpu_fp32_b1/forward_ms_p50").title == "forward p50 cpu fp32 b1 (ms)"
    assert column_of("val/mean_error").lower_is_better
    assert column_of("val/AR_100").kind == "fraction"


def board_of(*records):
    (board,) = build_boards(records)
    return board


def markdown_of(*records):
    return markdown_boards([report_on(board_of(*records))])


def test_markdown_is_a_table_of_the_union_of_columns(make_record):
    records = (
        make_record(detector="a", metrics={"val/AP_hard": 0.5}, cost=None),
        make_record(detector="b", metrics={"val/AP_hard": 0.25, "val/AP_easy": 0.75}, seed=1),
        make_record(detector="b", metrics={"val/AP_hard": 0.75, "val/AP_easy": 0.75}, seed=2),
    )
    lines = markdown_table(leaderboard_table(board_of(*records))).splitlines()
    assert lines[0] == "| # | Detector | Schedule | Weights | AP easy | AP hard | Params (M) | GMACs | GFLOPs | Input |"
    # 0.5 twice: the row without a cost comes after the one with it; std of 0.25 and 0.75 is 0.35355
    assert (
        lines[2] == "| 1 | b | full | trained | 75.00 ± 0.00 (2) | 50.00 ± 35.36 (2) | 0.670 | 2.50 | 5.10 | 480x640 |"
    )
    assert lines[3] == "| 1 | a | full | trained | – | 50.00 | – | – | – | – |"
    assert "In every row: Postprocess nms." in markdown_of(*records)


def test_failures_are_listed_without_numbers(make_record, failed):
    text = markdown_of(make_record(), failed(detector="broken", seed=4))
    line = next(line for line in text.splitlines() if "broken" in line)
    assert line == "| broken |  | nms | full | 4 | diverged | loss is nan |"


def test_a_board_of_failures_alone(failed):
    text = markdown_of(failed())
    assert "diverged" in text
    assert leaderboard_csv(board_of(failed())) == ""


def test_pipes_and_tags_do_not_break_the_table(failed):
    text = markdown_of(failed(error="a|b <script>"))
    assert "a\\|b &lt;script>" in text


def test_only_underscores_at_the_edge_of_a_word_are_escaped(make_record):
    text = markdown_of(make_record(changes={"resize._target_": "my_module"}))
    assert "resize.\\_target\\_=my_module" in text


def test_csv_keeps_full_precision(make_record):
    third = 1 / 3
    board = board_of(
        make_record(metrics={"val/AP_hard": third}, ablations={"neck": "bifpn"}),
        make_record(metrics={"val/AP_hard": 0.1}, seed=0, speed={"speed/cpu/forward_ms_p90": 2.5}),
        make_record(metrics={"val/AP_hard": 0.2}, seed=1),
    )
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(board))))
    assert float(rows[0]["val/AP_hard_mean"]) == third
    assert (rows[0]["val/AP_hard_std"], rows[0]["val/AP_hard_n"], rows[0]["ablation/neck"]) == ("", "1", "bifpn")
    assert (rows[1]["val/AP_hard_n"], rows[1]["seeds"], rows[1]["ablation/neck"]) == ("2", "0 1", "")
    assert (rows[1]["speed/cpu/forward_ms_p90_mean"], rows[1]["speed/cpu/forward_ms_p90_n"]) == ("2.5", "1")
    assert rows[0]["speed/cpu/forward_ms_p90_n"] == "0"


def test_ablation_tables(make_record):
    plain = make_record(metrics={"val/AP_hard": 0.5})
    bifpn = make_record(metrics={"val/AP_hard": 0.25}, ablations={"neck": "bifpn"}, cost={"macs": 3_000_000_000})
    pairs = compare_axes(board_of(plain, bifpn))
    lines = markdown_table(ablation_table(pairs)).splitlines()
    assert lines[0] == "| Axis | Change | Detector | Held fixed | Seeds | Δ AP hard | Δ GMACs |"
    held = "postprocess=nms, schedule=full, weights=trained"
    assert lines[2] == f"| neck | default → bifpn | scrfd_2.5g | {held} | 1 | −25.00 | +0.500 |"
    (row,) = csv.DictReader(io.StringIO(ablation_csv(pairs)))
    assert (row["before"], row["after"], float(row["val/AP_hard_mean"])) == (plain.cell_id, bifpn.cell_id, -0.25)


def test_what_every_pair_holds_fixed_is_told_once(make_record):
    records = [
        make_record(ablations={"neck": neck}, changes=changes)
        for neck in ("fpn", "bifpn")
        for changes in ({}, {"recipe.lr": 0.02})
    ]
    table = ablation_table(compare_axes(board_of(*records)))
    assert [row["others"] for row in table.rows] == ["", "recipe.lr=0.02"]
    assert [text for _, text in table.shared] == ["postprocess=nms, schedule=full, weights=trained"]


def test_csv_tells_changes_settings_and_a_changed_protocol(make_record):
    protocol = {"name": "wider_vga+1a2b3c4d", "base": "wider_vga", "changes": {"score_threshold": 0.05}}
    board = board_of(
        *(
            make_record(changes={"recipe.lr": 0.02}, protocol=protocol, training={"model": {"depth": depth}})
            for depth in (2, 3)
        )
    )
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(board))))
    assert {row["changes"] for row in rows} == {'{"recipe.lr": 0.02}'}
    assert {row["protocol_changes"] for row in rows} == {'{"score_threshold": 0.05}'}
    assert sorted(row["settings"] for row in rows) == ["model.depth=2", "model.depth=3"]


def test_cost_of_several_looks_says_so(make_record):
    board = board_of(make_record(cost={"input_size": (960, 1280), "looks": ((480, 640), (960, 1280))}))
    assert "| 2 looks up to 960x1280 |" in markdown_table(leaderboard_table(board))


def test_document_defines_every_column_it_shows(make_record, failed):
    record = make_record(speed={"speed/cpu_fp32_b1/forward_ms_p50": 3.0}, metrics={"val/AP": 0.5, "val/odd": 2.0})
    board = board_of(record, failed(seed=1))
    text = markdown_document([report_on(board)])
    shown: tuple[Column, ...] = leaderboard_table(board).described
    for column in shown:
        assert f"- **{column.title}**: {column.definition}" in text
