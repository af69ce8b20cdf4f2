"""Why a measured figure may differ from the published one: everything that the record itself says is otherwise."""

from bench.report.leaderboard import Row, train_set_of
from bench.report.reported import Reported, ReportedRow
from bench.report.slots import SLOT

NAMES = frozenset({SLOT, "name"})  # labels that say which row it is, and change nothing in it


def reasons_of(row: Row, published: ReportedRow, reported: Reported) -> tuple[str, ...]:
    """What is known to set the row apart from what was published, in words; empty where nothing is."""
    return (
        *_data(row, reported),
        *_weights(row, reported),
        *_labels(row, published),
        *_views(row),
        *((published.note,) if published.note else ()),
    )


def _data(row: Row, reported: Reported) -> list[str]:
    images = row.record.dataset.images
    if images is None or images == reported.images:
        return []
    return [
        f"{images:,} of the published {reported.images:,} images" if images < reported.images else f"{images:,} images"
    ]


def _weights(row: Row, reported: Reported) -> list[str]:
    """Training settings where the row was trained here, else where its weights come from."""
    provenance = row.record.provenance
    if provenance.weights != "trained":
        return ["a file of predictions" if provenance.weights == "predictions" else f"{provenance.weights} weights"]
    reasons = []
    if provenance.schedule != "full":
        epochs = f" ({provenance.epochs} epochs)" if provenance.epochs is not None else ""
        reasons.append(f"{provenance.schedule} schedule{epochs}, not the published recipe")
    train_set = provenance.train_dataset or {}
    images = train_set.get("images")
    if train_set.get("name", reported.dataset) != reported.dataset:
        reasons.append(f"trained on {train_set_of(row.record)}")
    elif isinstance(images, int) and reported.train_images is not None and images < reported.train_images:
        reasons.append(f"trained on {images:,} of {reported.train_images:,} images")
    if len(row.records) == 1:
        reasons.append("one seed")
    return reasons


def _labels(row: Row, published: ReportedRow) -> list[str]:
    """Labels that the published row has otherwise, or not: a label says that something was changed."""
    unsaid = {"postprocess": "not said"}  # every row has one
    return [
        f"{axis}={label}, published {told}"
        if (told := published.labels.get(axis, unsaid.get(axis)))
        else f"{axis}={label}"
        for axis, label in sorted(row.labels.items())
        if axis not in NAMES and published.labels.get(axis) != label
    ]


def _views(row: Row) -> list[str]:
    """Test-time augmentation, which no protocol of one view has."""
    cost, settings = row.record.cost, row.record.protocol.settings
    views = len(cost.views) if cost and cost.views else len(settings.get("views") or ())
    return [f"test-time augmentation of {views} views"] if views else []
