"""Measured beside reported, as tables, CSV, Markdown and page."""

import csv
import io
import re

from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.publish import publish
from bench.report.site.page import render_page
from bench.report.tables.markdown import markdown_document, markdown_table
from bench.report.tables.reported_tables import cost_table, counterpart_table, reported_csv

from ..conftest import published_row, reported_with


def published_of(records, reported):
    (board,) = build_boards(records)
    return report_on(board, reported).published


def test_tables_as_people_read_them(make_record):
    records = [
        make_record(metrics={"val/AP_hard": 0.7, "val/AP_medium": 0.9}, dataset={"images": 394}),
        make_record(
            detector="scrfd_2.5g_onnx",
            metrics={"val/AP_hard": 0.751, "val/AP_medium": 0.9},
            dataset={"images": 394},
            cost=None,
            provenance={"weights": "imported", "schedule": "none", "evaluation": {"git_dirty": True}},
        ),
    ]
    published = published_of(records, reported_with())
    table = counterpart_table(published.counterparts)
    assert markdown_table(table).splitlines() == [
        "| Detector | AP medium | reported | Δ | AP hard | reported | Δ | What differs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| scrfd_2.5g_onnx † | 90.00 | 90.00 | 0.00 | 75.10 | 75.00 | +0.10 | imported weights |",
        "| scrfd_2.5g | 90.00 | 90.00 | 0.00 | 70.00 | 75.00 | −5.00 | one seed |",
    ]
    assert [(column.title, text) for column, text in table.shared] == [
        ("What differs", "394 of the published 3,226 images")
    ]
    assert markdown_table(cost_table(published.counterparts)).splitlines()[2:] == [
        "| scrfd_2.5g | 0.670 | 0.670 | 0.00 | 2.50 | 2.53 | −1.19 |",
    ]


def test_csv_has_every_published_row_and_full_precision(make_record):
    reported = reported_with(published_row(), published_row(detectors=(), method="Other"))
    record = make_record(metrics={"val/AP_hard": 1 / 3})
    published = published_of([record], reported)
    first, second = csv.DictReader(io.StringIO(reported_csv(published)))
    assert (first["method"], first["detector"], first["cell_id"]) == ("SCRFD-2.5GF", "scrfd_2.5g", record.cell_id)
    assert float(first["val/AP_hard_mean"]) == 1 / 3
    assert float(first["val/AP_hard_difference"]) == 1 / 3 - 0.75
    assert (first["val/AP_hard_reported"], first["val/AP_medium_difference"]) == ("0.75", "")
    assert (second["method"], second["detector"], second["val/AP_hard_reported"]) == ("Other", "", "0.75")
    assert (second["val/AP_hard_mean"], second["reasons"]) == ("", "")


def test_document_and_page_show_both_tables_and_the_source(make_record):
    reports = [
        report_on(board, reported_with(published_row(), published_row(detectors=(), method="<Other>")))
        for board in build_boards([make_record()])
    ]
    for text in (markdown_document(reports), render_page(reports)):
        order = [text.index(title) for title in ("Measured beside reported", "Published, not measured here")]
        assert order == sorted(order)
        assert "&lt;Other>" in text or "&lt;Other&gt;" in text
        assert "https://example.org/paper" in text
        assert "Counts norms." in text
    page = render_page(reports)
    ranked = page[page.index(">Leaderboard<") : page.index("Measured beside reported")]
    assert "Other" not in ranked
    assert re.findall(r'(?:src)="(?!data:)[^"]*"|<link[^>]+href="(?!data:)|url\(|@import', page) == []


def test_without_published_figures_nothing_is_said(make_record):
    reports = [report_on(board) for board in build_boards([make_record()])]
    for text in (markdown_document(reports), render_page(reports)):
        assert "reported" not in text.replace("th.reported", "").replace('"reported-"', "")


def test_publishing_writes_the_file(make_record, results, tmp_path):
    written = publish(results(make_record()), tmp_path / "out", reported=reported_with())
    assert tmp_path / "out" / "wider_face_val_wider_vga_v1_reported.csv" in written
    assert "Measured beside reported" in (tmp_path / "out" / "leaderboard.md").read_text()


def test_order_of_records_does_not_matter(make_record):
    records = [
        make_record(detector=name, protocol={"postprocess": post})
        for name in ("scrfd_2.5g", "scrfd_2.5g_onnx")
        for post in ("nms", "soft_nms")
    ]
    texts = {
        render_page([report_on(board, reported_with()) for board in build_boards(order)])
        for order in (records, records[::-1])
    }
    assert len(texts) == 1


def test_rows_of_one_name_are_told_apart_beside_it_too(make_record):
    imported = {"weights": "imported", "schedule": "none", "training": None}
    records = [make_record(training={"weights": digit * 64}, provenance=imported) for digit in "12"]
    table = counterpart_table(published_of(records, reported_with()).counterparts)
    assert sorted(row["detector"] for row in table.rows) == [
        "scrfd_2.5g (weights=11111111)",
        "scrfd_2.5g (weights=22222222)",
    ]
