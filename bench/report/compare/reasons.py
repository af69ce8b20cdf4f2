"""Why a measured figure may differ from the published one: everything that the record itself says is otherwise."""

from bench.records.identity import in_words
from bench.records.reported import Reported, ReportedRow
from bench.report.compare.names import train_set_of
from bench.report.compare.rows import Row
from bench.report.compare.slots import SLOT

NAMES = frozenset({SLOT, "name"})  # ablations that say which row it is, and change nothing in it


def reasons_of(row: Row, published: ReportedRow, reported: Reported) -> tuple[str, ...]:
    """What is known to set the row apart from what was published, in words; empty where nothing is."""
    return (
        *_data(row, reported),
        *_weights(row, reported),
        *_ablations(row, published),
        *(in_words({path: value}) for path, value in sorted(row.changes.items())),
        *_looks(row),
        *((published.note,) if published.note else ()),
    )


def _data(row: Row, reported: Reported) -> list[str]:
    images = row.record.dataset.images
    if images == reported.images:
        return []
    return [
        f"{images:,} of the published {reported.images:,} images" if images < reported.images else f"{images:,} images"
    ]


def _weights(row: Row, reported: Reported) -> list[str]:
    """Training settings where the row was trained here, else where its weights come from."""
    record, provenance = row.record, row.record.provenance
    if provenance.weights != "trained":
        return ["a file of predictions" if provenance.weights == "predictions" else f"{provenance.weights} weights"]
    reasons = []
    if provenance.schedule != "full":
        epochs = f" ({record.epochs} epochs)" if record.epochs is not None else ""
        reasons.append(f"{provenance.schedule} schedule{epochs}, not the published recipe")
    train_data = record.train_data or {}
    images = train_data.get("images")
    if train_data.get("name", reported.dataset) != reported.dataset:
        reasons.append(f"trained on {train_set_of(record)}")
    elif isinstance(images, int) and reported.train_images is not None and images < reported.train_images:
        reasons.append(f"trained on {images:,} of {reported.train_images:,} images")
    if len(row.records) == 1:
        reasons.append("one seed")
    return reasons


def _ablations(row: Row, published: ReportedRow) -> list[str]:
    """Ablations that the published row has otherwise, or not: one says that something was changed."""
    unsaid = {"postprocess": "not said"}  # every row has one
    return [
        f"{axis}={label}, published {told}"
        if (told := published.ablations.get(axis, unsaid.get(axis)))
        else f"{axis}={label}"
        for axis, label in sorted(row.ablations.items())
        if axis not in NAMES and published.ablations.get(axis) != label
    ]


def _looks(row: Row) -> list[str]:
    """Test-time augmentation, which no protocol of one look has."""
    looks = (row.record.evaluation.get("protocol") or {}).get("looks") or ()
    return [f"test-time augmentation of {len(looks)} looks"] if looks else []
