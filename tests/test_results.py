"""What the suite has published follows its own schema."""

import json
import re
from pathlib import Path

import pytest

from bench.records.identity import digest
from bench.records.record import read_records
from bench.records.reported import read_reported

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "results"


def test_every_published_record_is_valid_and_done() -> None:
    records = read_records(RESULTS)
    assert records
    assert {record.status for record in records} == {"done"}


def test_ids_are_the_digests_of_the_trees_inside() -> None:
    for path in sorted(RESULTS.rglob("seed*.json")):
        document = json.loads(path.read_text())
        assert document["schema_version"] == 2
        assert document["train_id"] == digest(document["training"])
        assert document["cell_id"] == digest([document["train_id"], document["evaluation"]])
        assert path.parent.name == document["cell_id"]


def test_published_numbers_say_what_they_are() -> None:
    for record in read_records(RESULTS):
        assert all(record.git_commits), record.path(Path())
        assert not record.git_dirty, record.path(Path())
        trained = record.provenance.weights == "trained"
        assert trained == (record.provenance.schedule in ("full", "proxy", "smoke"))
        assert trained == (record.provenance.training is not None) == (record.train_data is not None)
        assert trained or record.provenance.weights_sha256 == record.training["weights"]
        if record.cost is not None:
            assert record.cost.flops == 2 * record.cost.macs == 2 * sum(record.cost.macs_by_component.values())
        else:
            assert record.detector.endswith("_onnx")  # runs elsewhere: its operations are not counted


def test_published_identities_tell_no_path() -> None:
    for record in read_records(RESULTS):
        told = json.dumps([record.training, record.evaluation, record.changes, record.ablations])
        assert not re.search(r'"(/|~|\.\./|[A-Za-z]:\\\\)', told), record.path(Path())


def test_imported_weights_find_what_the_published_files_find() -> None:
    """Our network under imported weights, and the file itself under onnxruntime: within a tenth of a point."""
    imported = [record for record in read_records(RESULTS) if record.provenance.weights == "imported"]
    files = {record.detector: record for record in imported if record.detector.endswith("_onnx")}
    ours = [record for record in imported if record.dataset.images == 394 and record.detector not in files]
    assert {f"{record.detector}_onnx" for record in ours} == set(files)
    for record in ours:
        other = files[f"{record.detector}_onnx"]
        assert (record.dataset, record.protocol) == (other.dataset, other.protocol)
        assert record.metrics == pytest.approx(other.metrics, abs=0.001)


def test_imported_weights_reach_the_published_figures_on_all_of_val() -> None:
    published = read_reported(RESULTS / "reported.yaml")
    whole = [record for record in read_records(RESULTS) if record.dataset.images == published.images]
    assert len(whole) >= 2
    for record in whole:
        (row,) = [row for row in published.rows_of(record) if record.detector in row.detectors]
        assert {key: record.metrics[key] for key in row.metrics} == pytest.approx(row.metrics, abs=2e-4)


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
