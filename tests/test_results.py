"""What the suite has published follows its own schema."""

import json
from pathlib import Path

import pytest

from bench.report.records import read_records

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "results"


def test_every_published_record_is_valid_and_done() -> None:
    records = read_records(RESULTS)
    assert records
    assert {record.status for record in records} == {"done"}


def test_published_numbers_say_what_they_are() -> None:
    for record in read_records(RESULTS):
        assert record.provenance.git_commit, record.path(Path())
        assert record.provenance.git_dirty is False, record.path(Path())
        trained = record.provenance.weights == "trained"
        assert trained == (record.provenance.schedule in ("full", "proxy", "smoke"))
        assert trained or record.provenance.weights_sha256
        if record.cost is not None:
            assert record.cost.flops == 2 * record.cost.macs == 2 * sum(record.cost.macs_by_component.values())
        else:
            assert record.detector.endswith("_onnx")  # runs elsewhere: its operations are not counted


def test_imported_weights_find_what_the_published_files_find() -> None:
    """Our network under imported weights, and the file itself under onnxruntime: within a tenth of a point."""
    imported = [record for record in read_records(RESULTS) if record.provenance.weights == "imported"]
    published = {record.detector: record for record in imported if record.detector.endswith("_onnx")}
    ours = [record for record in imported if record.detector not in published]
    assert len(ours) == 2
    assert {f"{record.detector}_onnx" for record in ours} == set(published)
    for record in ours:
        other = published[f"{record.detector}_onnx"]
        assert (record.dataset, record.protocol) == (other.dataset, other.protocol)
        assert record.metrics == pytest.approx(other.metrics, abs=0.001)


def test_the_latencies_of_the_readme_are_the_measured_ones() -> None:
    measured = json.loads((RESULTS / "inference" / "two_threads.json").read_text())
    assert measured["git_dirty"] is False
    rows: dict[tuple[str, str], list[str]] = {}
    for row in measured["results"]:
        key = row["detector"], str(row["batch"])
        if key in rows:
            rows[key].append(f"{row['forward_ratio']:.2f}")
        else:  # the published file, which the others are multiples of
            rows[key] = [f"{row['forward_ms_p50']:.1f}"]
    told = (PROJECT / "README.md").read_text().partition("## How fast")[2].partition("\n## ")[0]
    tabled = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines() if "_kps" in line]
    assert {(name, batch): cells for name, batch, *cells in tabled} == rows


def test_no_picture_of_a_real_person_and_no_weight_is_published() -> None:
    published = [path.relative_to(RESULTS) for path in RESULTS.rglob("*") if path.is_file()]
    allowed = {".json", ".csv", ".md", ".html", ".svg", ".png", ".jpg", ".yaml"}
    assert {path.suffix for path in published} <= allowed
    photographs = [path for path in published if path.suffix == ".jpg"]
    assert all(path.parts[:2] in (("pictures", "synth_faces"), ("pictures", "synth_shapes")) for path in photographs)
