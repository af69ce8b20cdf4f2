"""Signs beside the name of a row whose seeds were not measured from one committed state, and what they mean."""

from collections.abc import Iterable, Sequence

from bench.records.record import Run
from bench.report.compare.rows import Row

DIRTY, MIXED = "†", "‡"
DIRTY_NOTE = f"{DIRTY} trained or measured from a working tree with uncommitted changes."
SHORT = 7  # digits of a commit


def is_dirty(row: Row) -> bool:
    """Whether any seed ran with uncommitted changes."""
    return any(record.git_dirty for record in row.records)


def marked(row: Row) -> str:
    """The detector with the signs of its row."""
    signs = (DIRTY if is_dirty(row) else "") + (MIXED if mixture_of(row) else "")
    return f"{row.detector} {signs}".rstrip()


def mixture_of(row: Row) -> str:
    """In which commits and package versions the row's seeds differ, in words; empty where they agree.

    Trainings are compared with trainings and evaluations with evaluations: the two may be months apart.
    """
    trained = _differences([record.provenance.training for record in row.records])
    evaluated = _differences([record.provenance.evaluation for record in row.records])
    if trained == evaluated:
        return f"training and evaluation: {trained}" if trained else ""
    stages = {"training": trained, "evaluation": evaluated}
    return "; ".join(f"{stage}: {words}" for stage, words in stages.items() if words)


def notes_of(rows: Iterable[Row]) -> list[str]:
    """What the signs on the rows mean; rows with the same mixture are told together."""
    rows = list(rows)
    places: dict[str, list[str]] = {}
    for row in rows:
        name = row.detector if row.rank is None else f"#{row.rank} {row.detector}"
        places.setdefault(mixture_of(row), []).append(name)
    mixtures = [f"{words[0].upper()}{words[1:]} ({', '.join(names)})" for words, names in places.items() if words]
    notes = [DIRTY_NOTE] if any(map(is_dirty, rows)) else []
    if mixtures:
        notes.append(f"{MIXED} seeds ran at different commits or package versions. {'. '.join(mixtures)}.")
    return notes


def _differences(runs: Sequence[Run | None]) -> str:
    """`commits 28e0a9e and 961813a, torch 2.11.0 and 2.15.0`, values in the order of the seeds."""
    known = [run for run in runs if run is not None]
    facts = {"commits": [(run.git_commit or "unknown")[:SHORT] for run in known]}
    for package in sorted({package for run in known for package in run.versions}):
        facts[package] = [run.versions.get(package, "none") for run in known]
    differing = {name: list(dict.fromkeys(values)) for name, values in facts.items()}
    return ", ".join(
        f"{name} {', '.join(values[:-1])} and {values[-1]}" for name, values in differing.items() if len(values) > 1
    )
