"""What the suite has published follows its own schema."""

from pathlib import Path

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
        assert record.provenance.schedule in ("full", "proxy", "smoke")
        assert record.cost is not None
        assert record.cost.flops == 2 * record.cost.macs == 2 * sum(record.cost.macs_by_component.values())


def test_no_picture_of_a_real_person_and_no_weight_is_published() -> None:
    published = [path.relative_to(RESULTS) for path in RESULTS.rglob("*") if path.is_file()]
    allowed = {".json", ".csv", ".md", ".html", ".svg", ".png", ".jpg", ".yaml"}
    assert {path.suffix for path in published} <= allowed
    photographs = [path for path in published if path.suffix == ".jpg"]
    assert all(path.parts[:2] in (("pictures", "synth_faces"), ("pictures", "synth_shapes")) for path in photographs)
