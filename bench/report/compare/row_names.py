"""Short names of rows for figures: what tells the rows of one detector apart, and nothing else."""

from collections.abc import Iterable, Sequence

from bench.records.identity import in_words
from bench.report.compare.names import weights_of
from bench.report.compare.rows import Row
from bench.report.compare.slots import names_of

LONGEST_NAME = 56  # characters

Parts = dict[str, str]


def short_names(rows: Sequence[Row]) -> list[str]:
    """For each row its detector and, of its ablations, changes and settings, those in which the detector's rows differ.

    Ablations that only say what the detector is are left out. Rows that would still have one name tell how their
    weights came about.
    """
    names = _told_apart([row.detector for row in rows], [_choices(row) for row in rows])
    names = _told_apart(names, [_weights(row) for row in rows])
    return [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]


def _told_apart(names: Sequence[str], parts: Sequence[Parts]) -> list[str]:
    """The names, those that occur more than once followed by the parts in which their rows differ."""
    named: dict[str, list[Parts]] = {}
    for name, part in zip(names, parts, strict=True):
        named.setdefault(name, []).append(part)
    return [" · ".join([name, *_differing(part, named[name])]) for name, part in zip(names, parts, strict=True)]


def _differing(part: Parts, alike: Iterable[Parts]) -> list[str]:
    others = list(alike)
    return [words for key, words in part.items() if any(other.get(key) != words for other in others)]


def _choices(row: Row) -> Parts:
    said = names_of(row.record)
    ablations = {
        axis: label if axis == "postprocess" else f"{axis}={label}"
        for axis, label in sorted(row.ablations.items())
        if axis not in said
    }
    values = dict(sorted(row.changes.items())) | row.settings
    return ablations | {path: in_words({path: value}) for path, value in values.items()}


def _weights(row: Row) -> Parts:
    facts = weights_of(row.record)
    return facts | ({"epochs": f"{facts['epochs']} epochs"} if "epochs" in facts else {})
