"""The boards of a README: those with published figures first, and the figures in their rows."""

from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.tables.markdown import markdown_boards

from ..conftest import reported_with

IMPORTED = {"weights": "imported", "schedule": "none", "training": None}


def readme_of(*records):
    return markdown_boards([report_on(board, reported_with()) for board in build_boards(records)])


def test_a_readme_has_published_figures_in_the_rows_of_a_board(make_record):
    text = readme_of(
        make_record(metrics={"val/AP_hard": 0.751, "val/AP_medium": 0.9}, provenance=IMPORTED),
        make_record(detector="scrfd_2.5g_onnx", metrics={"val/AP_hard": 0.75}, provenance=IMPORTED),
    )
    lines = [line for line in text.splitlines() if line]
    assert lines[:5] == [
        "### wider_face val · wider_vga v1 · 3,226 images",
        "| # | Detector | AP medium | reported | Δ | AP hard | reported | Δ | Params (M) | GMACs |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 1 | scrfd_2.5g | 90.00 | 90.00 | 0.00 | 75.10 | 75.00 | +0.10 | 0.670 | 2.50 |",
        "| 2 | scrfd_2.5g_onnx | – | – | – | 75.00 | 75.00 | 0.00 | 0.670 | 2.50 |",
    ]
    assert lines[5] == (
        "In every row: Postprocess nms, Schedule none, Weights imported, Input 480x640, What differs imported weights."
    )
    assert lines[6] == (
        "Δ is measured minus reported, in percentage points. Reported: [A &lt;paper>](https://example.org/paper)."
    )


def test_a_row_that_was_not_published_keeps_its_place_in_a_readme(make_record):
    text = readme_of(
        make_record(detector="own", metrics={"val/AP_hard": 0.8}), make_record(metrics={"val/AP_hard": 0.75})
    )
    first, second = [line for line in text.splitlines() if line.startswith(("| 1", "| 2"))]
    assert first == "| 1 | own | 80.00 | – | – | 0.670 | 2.50 | – |"
    assert second == "| 2 | scrfd_2.5g | 75.00 | 75.00 | 0.00 | 0.670 | 2.50 | one seed |"


def test_a_readme_begins_with_the_board_of_all_images_published_on(make_record):
    records = [
        make_record(dataset={"name": "a_set"}),
        make_record(dataset={"images": 394}),
        make_record(),
        make_record(protocol={"name": "wider_320"}),
    ]
    titles = [line for line in readme_of(*records).splitlines() if line.startswith("###")]
    assert titles == [
        "### wider_face val · wider_vga v1 · 3,226 images",
        "### a_set val · wider_vga v1 · 3,226 images",
        "### wider_face val · wider_320 v1 · 3,226 images",
        "### wider_face val · wider_vga v1 · 394 images",  # others than published
    ]
