"""What every column of a published table is called and means: one place for Markdown, CSV and HTML."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "count", "fraction", "millions", "giga", "milliseconds", "number"]


@dataclass(frozen=True)
class Column:
    """A column: the key its values have in the data, its title and definition, and the unit its values are kept in."""

    key: str
    title: str
    definition: str
    kind: Kind = "text"
    lower_is_better: bool = False
    signed: bool = False


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("rank", "#", "Rank by the primary metric; rows with exactly the same value share a rank.", "count"),
        Column("detector", "Detector", "Name of the detector's configuration file."),
        Column(
            "ablations",
            "Ablations",
            "What the row changes in its detector: ideas as axis=label, single values as path=value; empty: nothing.",
        ),
        Column("postprocess", "Postprocess", "How candidates become detections: the suppression and its variant."),
        Column(
            "settings",
            "Settings",
            "Settings that nothing else in the table names: what sets the row apart from another of the same name, and "
            "values of the protocol or the post-processor that are not the same in all rows.",
        ),
        Column("schedule", "Schedule", "Length of the training: full, proxy (shortened), smoke (a few steps), none."),
        Column("epochs", "Epochs", "Passes of the training over its train set, where there was one."),
        Column("weights", "Weights", "Origin: trained here, imported, predictions (only a file of them), random."),
        Column("train_set", "Train set", "Data the weights were trained on, where they were trained here."),
        Column("device", "Device", "Machine that gave the latencies; compare them only within one device."),
        Column("val/AP_easy", "AP easy", "WIDER FACE average precision on the easy subset, IoU 0.5, in %.", "fraction"),
        Column("val/AP_medium", "AP medium", "WIDER FACE average precision on the medium subset, in %.", "fraction"),
        Column("val/AP_hard", "AP hard", "WIDER FACE average precision on the hard subset, in %.", "fraction"),
        Column("val/AP", "AP", "COCO average precision, mean over IoU 0.50 to 0.95, in %.", "fraction"),
        Column("val/AP50", "AP50", "Average precision at IoU 0.50, in %.", "fraction"),
        Column("val/AP75", "AP75", "Average precision at IoU 0.75, in %.", "fraction"),
        Column("val/APs", "APs", "COCO AP over objects below 32² pixels, in %.", "fraction"),
        Column("val/APm", "APm", "COCO AP over objects of 32² to 96² pixels, in %.", "fraction"),
        Column("val/APl", "APl", "COCO AP over objects above 96² pixels, in %.", "fraction"),
        Column("cost/params", "Params (M)", "Parameters of the detector, in millions.", "millions", True),
        Column(
            "cost/macs",
            "GMACs",
            "Multiply-accumulate operations of one forward pass at the input size (where there are several looks, of "
            "all passes; of a cascade, the mean over the images evaluated), in billions; the column that the SCRFD and "
            "EfficientDet papers call FLOPs.",
            "giga",
            True,
        ),
        Column("cost/flops", "GFLOPs", "Floating-point operations of that pass, in billions; 1 MAC = 2.", "giga", True),
        Column("cost/input_size", "Input", "Height x width in pixels at which the cost was counted."),
        Column("seeds", "Seeds", "Number of seeds that finished.", "count"),
        Column("status", "Status", "How the run ended: failed, diverged, timeout, interrupted."),
        Column("seed", "Seed", "Seed of the run.", "count"),
        Column("error", "Error", "First line of the error."),
        Column("axis", "Axis", "What alone sets the two rows apart; it may name their detectors."),
        Column("change", "Change", "Labels of the axis, from → to; default: the row does not set the axis."),
        Column("others", "Held fixed", "All else that names the rows, the same on both sides."),
        Column("method", "Published as", "Name of the method in the source of the published figures."),
        Column("backbone", "Backbone", "Backbone as the source names it."),
        Column("reasons", "What differs", "What the record says is otherwise than published; there may be more."),
        Column("latency", "Latency (ms)", "Latency as published, in milliseconds.", "milliseconds", True),
        Column("published_device", "Published on", "Device of the published latency."),
        Column("source", "Source", "Where the figures were published."),
        Column("note", "Note", "What is known about the published figure."),
    )
}

STATISTICS = (
    "A value is the mean over seeds; with two or more it reads mean ± sample standard deviation (number of seeds). "
    "A difference (Δ) is taken seed by seed over the seeds both rows have, then averaged; AP differences are in "
    "percentage points. Rows are compared only if nothing else about them differs."
)


def column_of(key: str) -> Column:
    """The column of a key; a metric or a latency that has no entry in COLUMNS is described from its name."""
    if key in COLUMNS:
        return COLUMNS[key]
    if key.startswith("speed/"):
        return _speed_column(key)
    name = key.removeprefix("val/")
    if name.startswith(("AP", "AR")):
        return Column(key, name.replace("_", " "), f"The metric {key} of the records, in %.", "fraction")
    lower = any(word in name for word in ("loss", "error", "jitter", "nme"))
    return Column(key, name.replace("_", " "), f"The metric {key} of the records.", "number", lower)


def _speed_column(key: str) -> Column:
    _, setting, *rest = [*key.split("/"), ""]
    measure = rest[0] or setting
    title = f"{measure} {setting}".replace("_", " ").replace(" ms ", " ").strip()
    if "_ms" not in measure:
        return Column(key, title, f"The measurement {key} of the records.", "number", "per_second" not in measure)
    return Column(
        key,
        f"{title} (ms)",
        f"Latency {measure} under {setting} (device, precision, batch size), in milliseconds; p50 is the median.",
        "milliseconds",
        True,
    )


def difference_of(column: Column, title: str | None = None) -> Column:
    """The column that holds differences of `column`, second minus first."""
    title = f"Δ {column.title}" if title is None else title
    definition = f"Difference of {column.title}, second minus first."
    return Column(f"delta:{column.key}", title, definition, column.kind, column.lower_is_better, True)


def reported_of(column: Column) -> Column:
    """The column that holds published values of `column`, to stand right after it."""
    definition = f"{column.title} as published."
    return Column(f"reported:{column.key}", "reported", definition, column.kind, column.lower_is_better)


def ratio_of(column: Column) -> Column:
    """The column that holds (measured - reported) / reported of `column`, in %."""
    return Column(f"ratio:{column.key}", "Δ (%)", f"Difference of {column.title}, in %.", "fraction", signed=True)


def in_order(keys: Iterable[str]) -> list[str]:
    """The keys, once each: those of COLUMNS in its order, then the rest by name."""
    places = {key: place for place, key in enumerate(COLUMNS)}
    return sorted(set(keys), key=lambda key: (places.get(key, len(places)), key))


def evaluated(keys: Iterable[str]) -> list[str]:
    """Without the losses of the training: those of different criteria do not compare, and the CSV has them."""
    return [key for key in keys if not key.startswith("train/")]
