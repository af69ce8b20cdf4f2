from pathlib import Path

import pytest
import yaml

from bench.records.reported import Reported, ReportedError, read_reported
from bench.verbs.report import published_figures

PROJECT = Path(__file__).resolve().parents[2]


def row_fields(**changes):
    return {
        "detectors": ["scrfd_2.5g"],
        "method": "SCRFD-2.5GF",
        "source": "paper",
        "protocol": "wider_vga",
        "metrics": {"val/AP_hard": 0.7787},
    } | changes


def document(*rows, **changes):
    return {
        "schema_version": 1,
        "dataset": "wider_face",
        "split": "val",
        "images": 3226,
        "sources": {"paper": {"title": "A paper", "url": "https://example.org/paper"}},
        "rows": list(rows),
    } | changes


@pytest.fixture
def written(tmp_path):
    """Writes content as YAML, or text as it is, and returns the path."""

    def write(content):
        path = tmp_path / "reported.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_a_file_is_read_as_it_stands(written):
    cost = {"params": 670_000, "macs": 2_530_000_000, "input_size": [480, 640]}
    reported = read_reported(written(document(row_fields(cost=cost, ablations={"postprocess": "nms"}))))
    (row,) = reported.rows
    assert (row.detectors, row.ablations) == (("scrfd_2.5g",), {"postprocess": "nms"})
    assert row.cost is not None
    assert (row.cost.macs, row.cost.input_size) == (2_530_000_000, (480, 640))
    assert (row.note, row.speed, row.backbone) == (None, None, None)


def test_the_published_file_of_the_suite_is_whole():
    reported = read_reported(PROJECT / "results" / "reported.yaml")
    assert (reported.images, reported.train_images, len(reported.rows)) == (3226, 12880, 21)
    both = [row for row in reported.rows if len(row.detectors) > 1]
    assert [row.detectors for row in both] == [
        ("scrfd_0.5g", "scrfd_0.5g_onnx"),
        ("scrfd_0.5g_kps", "scrfd_0.5g_kps_onnx"),
        ("scrfd_2.5g_kps", "scrfd_2.5g_kps_onnx"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (document(row_fields(metrics={"val/AP_hard": 77.87})), r"rows\.0\.metrics: val/AP_hard = 77\.87: .*fraction"),
        (document(row_fields(metrics={})), r"rows\.0\.metrics"),
        (document(row_fields(detector="x")), r"rows\.0\.detector: unknown field"),
        (document(row_fields(source="other")), "source 'other' of SCRFD-2.5GF .* which has: paper"),
        (document(row_fields(), row_fields()), "2 rows of source 'paper' name the detector scrfd_2.5g under wider_vga"),
        (document(row_fields(ablations={"sample_redistribution": True})), r"rows\.0\.ablations\.sample.*quote them"),
        (document(row_fields(cost={"params": 1, "macs": 0, "input_size": [1, 1]})), r"rows\.0\.cost\.macs"),
        (document(row_fields(), images="many"), r"images: "),
        (document(row_fields(), schema_version=2), r"schema_version: "),
        (document(sources={"p": {"title": "t", "url": "javascript:alert(1)"}}), r"sources\.p\.url"),
        ([1, 2], "reported.yaml: "),
        ("rows: [", "not YAML: .*line 1"),
        ("", "reported.yaml: "),
        ("images: .nan", "finite"),
        ("images: 2020-01-01", "expected text and finite numbers"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_field(written, content, message):
    path = written(content)
    with pytest.raises(ReportedError, match=message) as caught:
        read_reported(path)
    assert str(path) in str(caught.value)


def test_one_detector_may_be_published_twice_by_different_sources(written):
    sources = {name: {"title": name, "url": "https://example.org"} for name in ("paper", "release")}
    reported = read_reported(written(document(row_fields(), row_fields(source="release"), sources=sources)))
    assert len(reported.rows) == 2


def test_rows_of_a_record_are_those_of_its_data_and_protocol(make_record):
    reported = Reported.model_validate(document(row_fields(), row_fields(protocol="wider_1650")))
    assert [row.protocol for row in reported.rows_of(make_record())] == ["wider_vga"]
    assert reported.rows_of(make_record(dataset={"name": "coco"})) == ()
    assert reported.rows_of(make_record(dataset={"split": "test"})) == ()
    assert reported.rows_of(make_record(protocol={"name": "other"})) == ()


def test_the_file_is_found_named_or_switched_off(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert published_figures("auto") is None
    assert published_figures(None) is None
    named = written(document(row_fields()))
    assert len(published_figures(str(named)).rows) == 1
    (tmp_path / "results").mkdir()
    named.rename(tmp_path / "results" / "reported.yaml")
    assert len(published_figures("auto").rows) == 1
    assert published_figures(None) is None
    with pytest.raises(ReportedError, match=r"absent\.yaml: expected a file of published figures.*reported=FILE"):
        published_figures("absent.yaml")
