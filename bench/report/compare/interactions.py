"""What two ideas are worth together: complete 2 x 2 cells, their effects computed seed by seed.

With y the metric of one seed, first and second idea off (0) or on (1): the first alone is y10 - y00, the second alone
y01 - y00, both together y11 - y00, and the interaction is what both together give beyond the sum of the two alone,
y11 - y10 - y01 + y00. All of it over the seeds that the four cells share, so that every number follows from the others.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.records.identity import in_words
from bench.report.columns import evaluated, in_order
from bench.report.compare.ablations import ablation_of, ablation_order, axes_of, grouped, held_fixed
from bench.report.compare.leaderboard import Board
from bench.report.compare.rows import Row
from bench.report.compare.statistics import Stat, summarise_by_key

Corner = tuple[int, int]  # (first, second): 0 with the label before, 1 with the label after
CORNERS: tuple[Corner, ...] = ((0, 0), (1, 0), (0, 1), (1, 1))
Weights = dict[Corner, int]
Sample = dict[Corner, dict[str, float]]  # of one seed: metric -> value in each corner
EFFECTS: dict[str, Weights] = {
    "first_alone": {(1, 0): 1, (0, 0): -1},
    "first_with_second": {(1, 1): 1, (0, 1): -1},
    "second_alone": {(0, 1): 1, (0, 0): -1},
    "second_with_first": {(1, 1): 1, (1, 0): -1},
    "sum_alone": {(1, 0): 1, (0, 1): 1, (0, 0): -2},
    "both": {(1, 1): 1, (0, 0): -1},
    "interaction": {(1, 1): 1, (1, 0): -1, (0, 1): -1, (0, 0): 1},
}
# Not crossed with the other axes: it costs no training, has mostly three labels, and stands beside every idea, so that
# each of them would come once more with every pair of post-processors. The ablations compare it row by row.
NOT_CROSSED = frozenset({"postprocess"})


@dataclass(frozen=True)
class Interaction:
    """Four rows that differ in two axes of two labels each, and what they measured under the seeds they share."""

    axes: tuple[str, str]
    ablations: tuple[tuple[str, str], tuple[str, str]]  # of each axis: the label before, the one after
    rows: dict[Corner, Row]
    samples: dict[int, Sample]  # by seed

    @property
    def seeds(self) -> int:
        return len(self.samples)

    @property
    def metrics(self) -> list[str]:
        """What all four rows have under all of these seeds, training losses left out."""
        every = [set(values) for sample in self.samples.values() for values in sample.values()]
        return evaluated(in_order(set.intersection(*every)))

    @property
    def values(self) -> dict[Corner, dict[str, Stat]]:
        """Corner -> metric -> mean and spread over the seeds."""
        return {corner: self._summarised({corner: 1}) for corner in CORNERS}

    @property
    def effects(self) -> dict[str, dict[str, Stat]]:
        """Effect -> metric -> mean and spread over the seeds."""
        return {name: self._summarised(weights) for name, weights in EFFECTS.items()}

    @property
    def held(self) -> dict[str, Any]:
        """What the four rows share."""
        return held_fixed(self.rows[0, 0], self.axes)

    @property
    def detectors(self) -> tuple[str, ...]:
        """The detectors in the order of the corners, each once."""
        return tuple(dict.fromkeys(self.rows[corner].detector for corner in CORNERS))

    def _summarised(self, weights: Weights) -> dict[str, Stat]:
        return summarise_by_key(
            {metric: sum(weight * sample[corner][metric] for corner, weight in weights.items())}
            for sample in self.samples.values()
            for metric in self.metrics
        )


def find_interactions(board: Board) -> list[Interaction]:
    """Every complete 2 x 2 of the board: two axes with exactly two labels each, all else equal, a seed in common.

    An axis that names the detectors of a budget counts as any other. Ordered by axes, then by detector and what is held
    fixed.
    """
    axes = [axis for axis in axes_of(board) if axis not in NOT_CROSSED]
    return [
        found
        for first, second in itertools.combinations(axes, 2)
        for members in grouped(board, {first, second})
        if (found := _crossed(members, (first, second))) is not None
    ]


def of_usual_postprocess(interactions: Iterable[Interaction]) -> list[Interaction]:
    """Of those that differ in the post-processor alone, the one with the usual: the others repeat its question.

    Ordered by axes, then by what is held fixed.
    """
    kept: dict[tuple[str, ...], Interaction] = {}
    for found in sorted(interactions, key=lambda found: ablation_order(ablation_of(found.rows[0, 0], "postprocess"))):
        others = in_words(held_fixed(found.rows[0, 0], {*found.axes, "postprocess"}))
        kept.setdefault((*found.axes, others, *found.detectors), found)
    return [kept[key] for key in sorted(kept)]


def _crossed(members: list[Row], axes: tuple[str, str]) -> Interaction | None:
    """The 2 x 2 of rows that agree in all but two axes; None if it is not complete, or larger."""
    first, second = (sorted({ablation_of(row, axis) for row in members}, key=ablation_order) for axis in axes)
    if (len(first), len(second), len(members)) != (2, 2, 4):
        return None
    rows = {(first.index(ablation_of(row, axes[0])), second.index(ablation_of(row, axes[1]))): row for row in members}
    by_seed = {corner: {record.seed: record.metrics for record in rows[corner].records} for corner in CORNERS}
    seeds = sorted(set.intersection(*(set(records) for records in by_seed.values())))
    samples = {seed: {corner: by_seed[corner][seed] for corner in CORNERS} for seed in seeds}
    if not samples:
        return None
    return Interaction(axes, ((first[0], first[1]), (second[0], second[1])), rows, samples)
