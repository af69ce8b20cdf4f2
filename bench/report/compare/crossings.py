"""The pairs of ideas of a board as they are shown: the 2 x 2 cells of two axes, the first few of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.records.identity import in_words
from bench.report.compare.interactions import Interaction, of_usual_postprocess

MOST_SHOWN = 4  # of one pair of axes; the CSV has them all
NOTE = (
    "All numbers are over the seeds that the four cells share, each effect taken seed by seed. The interaction, in the "
    "lower right corner of a 2 x 2, is what both together give beyond the sum of the two alone: near zero, the ideas "
    "simply add up."
)


@dataclass(frozen=True)
class Crossing:
    """Two axes and their 2 x 2 cells, as many as are shown; `left_out` counts the others.

    `metric`: the one to draw and to lay out as 2 x 2, None where some of them lack it.
    """

    axes: tuple[str, str]
    shown: tuple[Interaction, ...]
    left_out: int
    metric: str | None

    @property
    def title(self) -> str:
        return " × ".join(self.axes)

    def name_of(self, interaction: Interaction) -> str:
        """What sets one of those shown apart: all that they do not share, and a detector that all four rows have."""
        others = [other.held for other in self.shown]
        differing = {
            key: value
            for key, value in interaction.held.items()
            if any(key not in other or other[key] != value for other in others)
        }
        named = interaction.detectors if len(interaction.detectors) == 1 or not differing else ()
        return ", ".join([*named, *([in_words(differing)] if differing else [])])

    @property
    def figure_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9.+-]+", "_", f"interaction_{'_x_'.join(self.axes)}")

    @property
    def notes(self) -> list[str]:
        some = f"{self.left_out} more, with other values held fixed, are in the CSV file." if self.left_out else ""
        return [note for note in (NOTE, some) if note]


def crossings(interactions: Sequence[Interaction], primary: str | None) -> list[Crossing]:
    """The interactions by their axes, with the usual post-processor alone."""
    found: dict[tuple[str, str], list[Interaction]] = {}
    for interaction in of_usual_postprocess(interactions):
        found.setdefault(interaction.axes, []).append(interaction)
    return [_crossing(members[:MOST_SHOWN], interactions, primary) for members in found.values()]


def _crossing(shown: list[Interaction], interactions: Sequence[Interaction], primary: str | None) -> Crossing:
    axes = shown[0].axes
    left_out = sum(interaction.axes == axes for interaction in interactions) - len(shown)
    drawn = all(primary in interaction.metrics for interaction in shown)
    return Crossing(axes, tuple(shown), left_out, primary if drawn else None)
