"""Leaderboards out of records: what may be compared, and who is first.

Rows are ranked inside one board only: one dataset, split, set of annotations, number of images and protocol version.
A protocol of which a value was changed is another protocol, named after its base and the change.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.records.identity import in_words
from bench.records.record import Protocol, Record
from bench.report.columns import in_order
from bench.report.compare.rows import Row, build_rows, ranked

PRIMARY = ("val/AP_hard", "val/AP")


@dataclass(frozen=True)
class Board:
    """One leaderboard: rows best first, and the records that have no number."""

    title: str
    slug: str
    primary: str | None
    rows: tuple[Row, ...]
    failures: tuple[Record, ...]

    @property
    def record(self) -> Record:
        """Any record of the board, for the dataset and protocol that all share."""
        return self.rows[0].record if self.rows else self.failures[0]

    @property
    def metrics(self) -> list[str]:
        """Every metric that any row has, in the order of the columns."""
        return in_order(key for row in self.rows for record in row.records for key in record.metrics)

    @property
    def speeds(self) -> list[str]:
        return in_order(key for row in self.rows for record in row.records for key in record.speed)


class BoardKey(NamedTuple):
    """What all records of a board share, in the order of boards: a derived protocol comes after its base."""

    dataset: str
    split: str
    base: str
    version: int
    protocol: str
    images: int
    annotation_hash: str


def build_boards(records: Iterable[Record], primary: Sequence[str] = PRIMARY) -> list[Board]:
    """Leaderboards of the records, by dataset, split, protocol and number of images.

    `primary`: metric keys by preference; a board ranks by the first one that any of its rows has, and by its first
    metric where it has none of them. The order of the records does not matter.
    """
    groups: dict[BoardKey, list[Record]] = {}
    for record in sorted(records, key=_record_order):
        groups.setdefault(_board_key(record), []).append(record)
    titles = Counter(_title(members[0]) for members in groups.values())
    slugs = Counter(_slug(members[0]) for members in groups.values())
    boards = []
    for key, members in sorted(groups.items()):
        title, slug, annotations = _title(members[0]), _slug(members[0]), key.annotation_hash[:8]
        if titles[title] > 1:
            title = f"{title} · annotations {annotations}"
        if slugs[slug] > 1:
            slug = f"{slug}_{key.images}_{annotations}"
        boards.append(_build_board(title, slug, members, primary))
    return boards


def protocol_title(protocol: Protocol) -> str:
    """`wider_vga v1`, or of a protocol with values of its own `wider_vga v1 with score_threshold=0.05`."""
    words = in_words(dict(sorted(protocol.changes.items())))
    return f"{protocol.base or protocol.name} v{protocol.version}" + (f" with {words}" if words else "")


def images_in_words(images: int) -> str:
    return f"{images:,} image{'s' if images != 1 else ''}"


def _record_order(record: Record) -> tuple[str, str, int]:
    return record.detector, record.cell_id, record.seed


def _board_key(record: Record) -> BoardKey:
    dataset, protocol = record.dataset, record.protocol
    return BoardKey(
        dataset.name,
        dataset.split,
        protocol.base or protocol.name,
        protocol.version,
        protocol.name,
        dataset.images,
        dataset.annotation_hash,
    )


def _title(record: Record) -> str:
    dataset = record.dataset
    return f"{dataset.name} {dataset.split} · {protocol_title(record.protocol)} · {images_in_words(dataset.images)}"


def _slug(record: Record) -> str:
    """For names of files and anchors of the page, in which a plus is better avoided."""
    dataset, protocol = record.dataset, record.protocol
    return f"{dataset.name}_{dataset.split}_{protocol.name}_v{protocol.version}".replace("+", "-")


def _build_board(title: str, slug: str, records: list[Record], primary: Sequence[str]) -> Board:
    rows = build_rows(record for record in records if record.status == "done")
    present = in_order(key for row in rows for record in row.records for key in record.metrics)
    chosen = next((key for key in primary if key in present), present[0] if present else None)
    failures = tuple(record for record in records if record.status != "done")
    return Board(title, slug, chosen, ranked(rows, chosen), failures)
