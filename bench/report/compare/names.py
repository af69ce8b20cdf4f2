"""What names a row: its detector, ablations and changes, and how its weights came about. Two cells may share a name."""

import json
from collections.abc import Collection
from typing import Any

from bench.records.identity import in_words
from bench.records.record import Record

NameKey = tuple[str, ...]


def name_key(record: Record, without: Collection[str] = (), detector: bool = True) -> NameKey:
    """All that names a row, leaving out the axes `without`, and the detector on demand; without changes first."""
    ablations = {axis: label for axis, label in ablations_of(record).items() if axis not in without}
    parts: tuple[dict[str, Any], ...] = (ablations, record.changes, weights_of(record))
    return record.detector if detector else "", *(json.dumps(part, sort_keys=True) if part else "" for part in parts)


def name_of(record: Record) -> str:
    """The ablations but the postprocess, then the changes, as `axis=label, path=value`."""
    ablations = {axis: label for axis, label in sorted(record.ablations.items()) if axis != "postprocess"}
    words = in_words(ablations), in_words(dict(sorted(record.changes.items())))
    return ", ".join(word for word in words if word)


def ablations_of(record: Record) -> dict[str, str]:
    """Axis -> label, the postprocess among them."""
    return {"postprocess": record.protocol.postprocess} | record.ablations


def weights_of(record: Record) -> dict[str, str]:
    """How the weights came about: schedule and kind, and where they were trained here epochs and training set."""
    facts = {
        "schedule": record.provenance.schedule,
        "epochs": "" if record.epochs is None else str(record.epochs),
        "weights": record.provenance.weights,
        "train_set": train_set_of(record),
    }
    return {key: text for key, text in facts.items() if text}


def train_set_of(record: Record) -> str:
    """The training set in words, `wider_face train (710 images)`, or the whole entry where it has no name."""
    data = record.train_data
    if not data:
        return ""
    words = [str(data[key]) for key in ("name", "split") if data.get(key)]
    if not words:
        return json.dumps(data, sort_keys=True)
    images = data.get("images")
    return " ".join([*words, *([f"({images:,} images)"] if isinstance(images, int) else [])])
