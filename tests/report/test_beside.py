import csv
import io
import re

import pytest

from bench.report.board_report import report_on
from bench.report.leaderboard import build_boards
from bench.report.markdown import markdown_document, markdown_table
from bench.report.page import render_page
from bench.report.publish import publish
from bench.report.reported import Reported
from bench.report.reported_tables import beside_table, cost_table, reported_csv, unmeasured_table

SETTINGS = {"postprocess": "nms", "sample_redistribution": "on"}


def reported_with(*rows, **changes):
    fields = {
        "schema_version": 1,
        "dataset": "wider_face",
        "split": "val",
        "images": 3226,
        "train_images": 12880,
        "sources": {"paper": {"title": "A <paper>", "url": "https://example.org/paper", "note": "Counts norms."}},
        "rows": rows or (row_of(),),
    }
    return Reported.model_validate(fields | changes)


def row_of(**changes):
    return {
        "detectors": ("scrfd_2.5g", "scrfd_2.5g_onnx"),
        "method": "SCRFD-2.5GF",
        "source": "paper",
        "protocol": "wider_vga",
        "labels": SETTINGS,
        "metrics": {"val/AP_medium": 0.9, "val/AP_hard": 0.75},
        "cost": {"params": 670_000, "macs": 2_530_000_000, "input_size": (480, 640)},
    } | changes


def published_of(records, reported):
    (board,) = build_boards(records)
    return report_on(board, reported).published


def reasons_of(record, reported=None):
    (pair,) = published_of([record], reported or reported_with()).beside
    return list(pair.reasons)


TRAINED = {"train_dataset": {"name": "wider_face", "split": "train", "images": 12880}, "epochs": 640}


def test_difference_of_the_mean_over_seeds_by_hand(make_record):
    records = [
        make_record(seed=seed, metrics={"val/AP_hard": ap, "val/AP_easy": 0.9}) for seed, ap in ((0, 0.70), (1, 0.76))
    ]
    (pair,) = published_of(records, reported_with()).beside
    assert pair.differences == {"val/AP_hard": pytest.approx(-0.02)}  # neither easy nor medium is in both


def test_every_name_of_a_published_row_stands_beside_it(make_record):
    records = [
        make_record(cell_id=name, detector=name) for name in ("scrfd_2.5g", "scrfd_2.5g_onnx", "scrfd_2.5g_other")
    ]
    published = published_of(records, reported_with())
    assert sorted(pair.row.detector for pair in published.beside) == ["scrfd_2.5g", "scrfd_2.5g_onnx"]
    assert published.unmeasured == ()


@pytest.mark.parametrize(
    "change", [{"dataset": {"name": "coco"}}, {"dataset": {"split": "test"}}, {"protocol": {"name": "wider_1650"}}]
)
def test_other_data_or_protocol_has_no_counterpart(make_record, change):
    published = published_of([make_record(**change)], reported_with())
    assert (published.beside, published.unmeasured) == ((), ())


def test_published_rows_without_a_measured_one_keep_their_order(make_record):
    reported = reported_with(
        row_of(detectors=(), method="B"), row_of(), row_of(detectors=("a",), method="A", protocol="wider_vga")
    )
    published = published_of([make_record()], reported)
    assert [entry.row.method for entry in published.unmeasured] == ["B", "A"]
    table = unmeasured_table(published.unmeasured)
    assert "rank" not in {column.key for column in table.columns}
    assert not table.ranked


def test_a_full_training_on_all_images_has_nothing_to_say(make_record):
    records = [make_record(seed=seed, ablations={"sample_redistribution": "on"}, provenance=TRAINED) for seed in (0, 1)]
    (pair,) = published_of(records, reported_with()).beside
    assert pair.reasons == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": {"images": 394}}, "394 of the published 3,226 images"),
        ({"dataset": {"images": 4000}}, "4,000 images"),
        ({"provenance": TRAINED | {"schedule": "smoke"}}, "smoke schedule (640 epochs), not the published recipe"),
        ({"provenance": {"schedule": "proxy"}}, "proxy schedule, not the published recipe"),
        (
            {"provenance": TRAINED | {"train_dataset": {"name": "wider_face", "split": "train", "images": 710}}},
            "trained on 710 of 12,880 images",
        ),
        (
            {"provenance": {"train_dataset": {"name": "synth_faces", "split": "train", "images": 9}}},
            "trained on synth_faces train",
        ),
        ({"provenance": {"weights": "imported", "schedule": "none"}}, "imported weights"),
        ({"provenance": {"weights": "random", "schedule": "none"}}, "random weights"),
        ({"provenance": {"weights": "predictions", "schedule": "none"}}, "a file of predictions"),
        ({"protocol": {"postprocess": "blending"}}, "postprocess=blending, published nms"),
        ({"ablations": {"sample_redistribution": "off"}}, "sample_redistribution=off, published on"),
        ({"ablations": {"neck": "bifpn"}}, "neck=bifpn"),
        ({"protocol": {"settings": {"views": [1, 2, 3]}}}, "test-time augmentation of 3 views"),
        ({"cost": {"views": ((480, 640), (960, 1280))}}, "test-time augmentation of 2 views"),
    ],
)
def test_reasons_follow_from_the_record(make_record, change, reason):
    usual = {"provenance": TRAINED}
    plain = reasons_of(make_record(**usual))
    assert plain == ["one seed"]
    changed = reasons_of(make_record(**usual | change))
    if change.get("provenance", {}).get("weights"):  # not trained here: nothing of a training is named
        assert changed == [reason]
    else:
        assert set(changed) == {"one seed", reason}


def test_labels_that_only_name_the_row_are_no_reason(make_record):
    record = make_record(ablations={"budget": "2.5 GF", "name": "mine"}, provenance=TRAINED)
    assert reasons_of(record) == ["one seed"]


def test_a_source_may_leave_the_post_processor_unsaid(make_record):
    reported = reported_with(row_of(labels={}))
    assert reasons_of(make_record(provenance=TRAINED), reported) == ["one seed", "postprocess=nms, published not said"]


def test_a_note_of_the_published_row_is_a_reason(make_record):
    assert reasons_of(make_record(provenance=TRAINED), reported_with(row_of(note="published after 400 epochs"))) == [
        "one seed",
        "published after 400 epochs",
    ]


def test_cost_compares_at_one_size_and_of_one_view(make_record):
    def ratios(**cost):
        (pair,) = published_of([make_record(cost=cost)], reported_with()).beside
        return pair.cost_ratios

    assert ratios(params=737_000, macs=2_277_000_000) == {
        "cost/params": pytest.approx(0.1),
        "cost/macs": pytest.approx(-0.1),
    }
    assert set(ratios(input_size=(640, 640))) == {"cost/params"}
    assert set(ratios(views=((480, 640), (480, 640)))) == {"cost/params"}
    (pair,) = published_of([make_record(cost=None)], reported_with()).beside
    assert pair.cost_ratios == {}


def test_tables_as_people_read_them(make_record):
    records = [
        make_record(cell_id="a", metrics={"val/AP_hard": 0.7, "val/AP_medium": 0.9}, dataset={"images": 394}),
        make_record(
            cell_id="b",
            detector="scrfd_2.5g_onnx",
            metrics={"val/AP_hard": 0.751, "val/AP_medium": 0.9},
            dataset={"images": 394},
            cost=None,
            provenance={"weights": "imported", "schedule": "none", "git_dirty": True},
        ),
    ]
    published = published_of(records, reported_with())
    table = beside_table(published.beside)
    assert markdown_table(table).splitlines() == [
        "| Detector | AP medium | reported | Δ | AP hard | reported | Δ | What differs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| scrfd_2.5g_onnx † | 90.00 | 90.00 | 0.00 | 75.10 | 75.00 | +0.10 | imported weights |",
        "| scrfd_2.5g | 90.00 | 90.00 | 0.00 | 70.00 | 75.00 | −5.00 | one seed |",
    ]
    assert [(column.title, text) for column, text in table.shared] == [
        ("What differs", "394 of the published 3,226 images")
    ]
    assert markdown_table(cost_table(published.beside)).splitlines()[2:] == [
        "| scrfd_2.5g | 0.670 | 0.670 | 0.00 | 2.50 | 2.53 | −1.19 |",
    ]


def test_csv_has_every_published_row_and_full_precision(make_record):
    reported = reported_with(row_of(), row_of(detectors=(), method="Other"))
    published = published_of([make_record(metrics={"val/AP_hard": 1 / 3})], reported)
    first, second = csv.DictReader(io.StringIO(reported_csv(published)))
    assert (first["method"], first["detector"], first["cell_id"]) == ("SCRFD-2.5GF", "scrfd_2.5g", "cell0")
    assert float(first["val/AP_hard_mean"]) == 1 / 3
    assert float(first["val/AP_hard_difference"]) == 1 / 3 - 0.75
    assert (first["val/AP_hard_reported"], first["val/AP_medium_difference"]) == ("0.75", "")
    assert (second["method"], second["detector"], second["val/AP_hard_reported"]) == ("Other", "", "0.75")
    assert (second["val/AP_hard_mean"], second["reasons"]) == ("", "")


def test_document_and_page_show_both_tables_and_the_source(make_record):
    reports = [
        report_on(board, reported_with(row_of(), row_of(detectors=(), method="<Other>")))
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
        make_record(cell_id=f"{name}{post}", detector=name, protocol={"postprocess": post})
        for name in ("scrfd_2.5g", "scrfd_2.5g_onnx")
        for post in ("nms", "soft_nms")
    ]
    texts = {
        render_page([report_on(board, reported_with()) for board in build_boards(order)])
        for order in (records, records[::-1])
    }
    assert len(texts) == 1
