"""Settings that set rows apart where their names do not: the leaves in which the identities of records differ.

1. The identity of a record is flattened: path -> value over the trees of its training and its evaluation.
2. Rows of one name tell every value in which they differ.
3. All rows of a board share its protocol. Where they differ in a value of it all the same, each row tells its own.
4. So do rows of the same ablations and changes with the values of their post-processor, whatever the detector.

A digest, of data or of a file of weights, says little to a reader: it is told, by its first digits, only where nothing
else sets two such rows apart.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.records.identity import in_words, leaves
from bench.records.record import Record
from bench.report.compare.names import NameKey, ablations_of, name_key

UNSET = "unset"
DIGITS = 8
SHOWN = 5
_DIGEST = re.compile(r"[0-9a-f]{10,}")  # ten digits where several are put together, else sixteen or more

Leaves = dict[str, Any]


def distinctions(records: Sequence[Record]) -> list[dict[str, str]]:
    """For the record of each row of a board, path -> value of what sets the row apart, the most telling paths first.

    Paths are those of `changes`, without the name of their tree, unless both trees would give the same.
    """
    flat = [leaves({"training": record.training, "evaluation": record.evaluation}) for record in records]
    told: list[dict[str, None]] = [{} for _ in records]  # paths in order
    for key, within in _EXPECTED_EQUAL:
        for members in _places(key(record) for record in records):
            paths = _differing([flat[member] for member in members], within)
            for member in members:
                told[member] |= dict.fromkeys(paths)
    return [_shown(values, list(paths)) for values, paths in zip(flat, told, strict=True)]


def settings_in_words(settings: Mapping[str, str], most: int | None = SHOWN) -> str:
    """`recipe.lr=0.02, validation.every_n_epochs=5 and 3 more`: the first `most` of the settings, or all of them."""
    shown = dict(list(settings.items())[:most])
    more = len(settings) - len(shown)
    return in_words(shown) + (f" and {more} more" if more else "")


def _choices(record: Record) -> NameKey:
    """The part of a name that is chosen for an evaluation as well."""
    return tuple(json.dumps(part, sort_keys=True) for part in (ablations_of(record), record.changes))


# Rows with the same key are expected to agree in every path that begins so.
_EXPECTED_EQUAL: tuple[tuple[Callable[[Record], NameKey], str], ...] = (
    (name_key, ""),
    (lambda record: (), "evaluation.protocol."),
    (_choices, "evaluation.postprocess."),
)


def _places(keys: Iterable[NameKey]) -> list[list[int]]:
    """The places of each key."""
    places: dict[NameKey, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return list(places.values())


def _differing(members: Sequence[Leaves], within: str) -> list[str]:
    """The paths in which the members differ, digests only if the others leave two of them the same."""
    every = sorted({path for values in members for path in values if path.startswith(within)})
    paths = [path for path in every if _parts(members, [path]) > 1]
    plain = [path for path in paths if not any(_is_digest(values.get(path)) for values in members)]
    return _telling_first(members, plain if _parts(members, plain) == _parts(members, paths) else paths)


def _telling_first(members: Sequence[Leaves], paths: Iterable[str]) -> list[str]:
    """Each time the path that tells most members apart beside those before it, so that the first few suffice."""
    rest = list(paths)
    ordered: list[str] = []
    while rest:
        best = max(rest, key=lambda path: _parts(members, [*ordered, path]))
        rest.remove(best)
        ordered.append(best)
    return ordered


def _parts(members: Sequence[Leaves], paths: Sequence[str]) -> int:
    """Into how many parts the values under the paths divide the members."""
    return len({tuple(_json(values, path) for path in paths) for values in members})


def _json(values: Leaves, path: str) -> str:
    """What identities are made of: 1 and 1.0 differ, and null is not the same as a path that is missing."""
    return json.dumps(values[path], separators=(",", ":")) if path in values else UNSET


def _shown(values: Leaves, paths: list[str]) -> dict[str, str]:
    short = [path.partition(".")[2] for path in paths]
    names = short if len(set(short)) == len(paths) else paths
    return {name: _text(values, path) for name, path in zip(names, paths, strict=True)}


def _text(values: Leaves, path: str) -> str:
    value = values.get(path)
    if _is_digest(value):
        return str(value)[:DIGITS]
    return value if isinstance(value, str) else _json(values, path)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
