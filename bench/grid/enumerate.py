"""The cells of a grid: every point of its axes and seeds, composed, each with its identity.

for labels in product(axes):
    config = compose(the grid's overrides, those of the labels, those of the command line)
    for seed in seeds:
        cell = identity of config, with the seed put in     (seeds share all but themselves)
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import compose, plain
from bench.errors import ConfigError
from bench.overrides import refuse_unread
from bench.run.cells import Cell, make_cell
from bench.run.data import DataReader

SEED_GOES_TO = {"data.seed"}  # places that follow `seed`; a configuration with others is composed for every seed


def enumerate_cells(grid: DictConfig, prepare: bool = True) -> list[Cell]:
    """Every cell of a grid configuration, in the order of its axes, seeds innermost.

    An axis is a list of choices of the configuration group it is named after, or a mapping from a label to the
    overrides that make it (none for the configuration as it stands). `only`, where given, names the labels of an axis
    that are wanted. `detector_axis` names the ablation that stands for the detector.

    Raises:
        ConfigError: an axis without choices or with one twice, an unknown axis or label in `only`, or two points that
            come to the same cell.
        DataError: the data that the cells name is not there.
        NotPreparedError: with `prepare` off, the data is not drawn yet.
    """
    described, axes = plain(grid), chosen_axes(grid)
    reader = DataReader(prepare)
    cells: dict[tuple[str, int], Cell] = {}
    for chosen in points(axes):
        for cell in cells_at(described, axes, chosen, reader):
            key = (cell.cell_id, cell.seed)
            if key in cells:
                raise ConfigError(f"grid `{described['name']}`: {cell} and {cells[key]} are the same cell {key}")
            cells[key] = cell
    return list(cells.values())


def chosen_axes(grid: DictConfig) -> dict[str, dict[str, list[str]]]:
    """Axis -> label -> its overrides, of the axes and labels that are wanted."""
    described = plain(grid)
    axes = {name: axis_choices(name, axis) for name, axis in described["axes"].items()}
    for name, wanted in (described.get("only") or {}).items():
        axes[name] = selected(axes, name, wanted)
    return axes


def points(axes: Mapping[str, Mapping[str, list[str]]]) -> Iterator[dict[str, str]]:
    """Axis -> label of every point."""
    for labels in itertools.product(*axes.values()):
        yield dict(zip(axes, labels, strict=True))


def cells_at(
    described: Mapping[str, Any],
    axes: Mapping[str, Mapping[str, list[str]]],
    chosen: Mapping[str, str],
    reader: DataReader,
) -> list[Cell]:
    """One point of the axes under every seed."""
    told = [override for axis, label in chosen.items() for override in axes[axis][label]]
    words = [*described["overrides"], *told, *described["cell_overrides"]]
    ablations = {axis: label for axis, label in chosen.items() if axis != "detector"}

    def composed(seed: int) -> DictConfig:
        return compose("_cell", [*words, f"seed={seed}"])

    def cell_of(config: DictConfig) -> Cell:
        return make_cell(config, words, ablations, described.get("detector_axis"), told, reader)

    first, *others = described["seeds"]
    config = composed(first)
    refuse_unread(words, config)
    shared = seed_places(config) <= SEED_GOES_TO
    cell = cell_of(config)
    return [cell, *(cell.with_seed(seed) if shared else cell_of(composed(seed)) for seed in others)]


def seed_places(config: DictConfig) -> set[str]:
    """The paths of the values that are made from `seed`, or copied from the node that holds such a value."""
    raw = OmegaConf.to_container(config, resolve=False)
    texts = [(path, value) for path, value in flat(raw, "") if isinstance(value, str) and "${" in value]
    return {path for path, value in texts if "seed" in value or "${data}" in value}


def flat(node: Any, prefix: str) -> list[tuple[str, Any]]:
    """Every leaf of nested dicts and lists under its dotted path."""
    if isinstance(node, dict):
        return [pair for key, value in node.items() for pair in flat(value, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(node, list):
        return [pair for index, value in enumerate(node) for pair in flat(value, f"{prefix}.{index}")]
    return [(prefix, node)]


def axis_choices(name: str, axis: Any) -> dict[str, list[str]]:
    """The overrides of every label of an axis."""
    if not axis or isinstance(axis, str):
        raise ConfigError(f"axis `{name}` has no choices; give it a list of names or a mapping of labels to overrides")
    if isinstance(axis, Mapping):
        return {str(k): [given] if isinstance(given, str) else list(given or ()) for k, given in axis.items()}
    choices = {str(choice): [f"{name}={choice}"] for choice in axis}
    if len(choices) < len(axis):
        raise ConfigError(f"axis `{name}` names a choice twice: {list(axis)}")
    return choices


def selected(axes: Mapping[str, dict[str, list[str]]], name: str, wanted: Any) -> dict[str, list[str]]:
    """The choices of axis `name` that are wanted, in the axis's order."""
    if name not in axes:
        raise ConfigError(f"expected `only` to name axes of the grid, {', '.join(axes)}; found `{name}`")
    labels = [str(label) for label in (wanted if isinstance(wanted, list) else [wanted])]
    unknown = [label for label in labels if label not in axes[name]]
    if unknown or not labels:
        raise ConfigError(f"expected only.{name} to be some of {', '.join(axes[name])}; found {unknown or labels}")
    return {label: overrides for label, overrides in axes[name].items() if label in labels}


def trainings(cells: Sequence[Cell]) -> dict[tuple[str, int], list[Cell]]:
    """Cells grouped by the training they share, in order of appearance."""
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.shared_training, []).append(cell)
    return groups
