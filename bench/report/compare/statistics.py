"""Mean and spread over seeds."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stat:
    """Mean over n seeds and, with two or more, their sample standard deviation."""

    mean: float
    std: float | None
    n: int


def summarise(values: Iterable[float]) -> Stat:
    """The statistic of one or more values; raises ValueError for none."""
    kept = list(values)
    if not kept:
        raise ValueError("expected at least one value to summarise")
    return Stat(statistics.fmean(kept), statistics.stdev(kept) if len(kept) > 1 else None, len(kept))


def summarise_by_key(samples: Iterable[Mapping[str, float]]) -> dict[str, Stat]:
    """One statistic per key over the samples that have it: a key missing from one seed lowers n, not the mean."""
    collected: dict[str, list[float]] = {}
    for sample in samples:
        for key, value in sample.items():
            collected.setdefault(key, []).append(value)
    return {key: summarise(values) for key, values in collected.items()}
