"""Cells: the points of a grid, and the two hashes that say which of them share what.

`train_id` hashes what shapes the weights, `cell_id` that and what shapes the evaluation. Paths, loggers, devices,
workers and the seed are in neither: a record is found again on another machine, and seeds of one cell lie side by side.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from bench.config import compose, plain
from bench.errors import ConfigError

# Keys of `trainer` that shape the weights; the others say where it runs.
SHAPING_TRAINER = ("precision", "accumulate")

# Keys that say where data lies and how it is read, at any depth of the `data` node; its own `incidental` names more.
INCIDENTAL = frozenset(
    {
        "root",
        "num_workers",
        "pin_memory",
        "eval_resize",
        "seed",
        "eval_batch_size",
        "cache",
        "cache_gib",
        "device_gib",
        "prepare",
    }
)


@dataclass(frozen=True)
class Cell:
    """One detector x training settings x evaluation settings x seed.

    Attributes:
        config: the composed configuration, resolved.
        labels: what this cell changes, axis -> label; the name of its row beside the detector's.
    """

    config: Mapping[str, Any]
    labels: Mapping[str, str]
    seed: int
    train_id: str
    cell_id: str

    @property
    def detector(self) -> str:
        return str(self.config["detector"]["name"])

    @property
    def dataset(self) -> str:
        return str(self.config["data"]["name"])

    @property
    def training(self) -> tuple[str, int]:
        """Cells of one training are trained once."""
        return self.train_id, self.seed

    def __str__(self) -> str:
        labels = ", ".join(f"{axis}={label}" for axis, label in self.labels.items())
        return f"{self.detector} {f'({labels}) ' if labels else ''}seed {self.seed}"


def digest(value: Any) -> str:
    """Ten hex digits of a canonical JSON form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def without_incidentals(node: Any, keys: Set[str]) -> Any:
    """The node without `keys`, at any depth."""
    if isinstance(node, Mapping):
        return {key: without_incidentals(value, keys) for key, value in node.items() if key not in keys}
    if isinstance(node, list | tuple):
        return [without_incidentals(value, keys) for value in node]
    return node


def training_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes the weights."""
    trainer, data = config["trainer"], config["data"]
    return {
        "detector": config["detector"],
        "data": without_incidentals(data, INCIDENTAL | set(data.get("incidental", ()))),
        "validation": config["validation"],
        "trainer": {key: trainer[key] for key in SHAPING_TRAINER},
    }


def evaluation_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes the numbers of given weights."""
    return {"protocol": config["protocol"], "postprocess": config["postprocess"]}


def make_cell(config: DictConfig, labels: Mapping[str, str] | None = None) -> Cell:
    """The cell of a composed `_cell` or `train` configuration."""
    resolved = plain(config)
    train_id = digest(training_identity(resolved))
    cell_id = digest([train_id, evaluation_identity(resolved)])
    named = {**resolved["labels"], **(labels or {})}
    return Cell(resolved, {k: str(v) for k, v in named.items()}, int(resolved["seed"]), train_id, cell_id)


def enumerate_cells(grid: DictConfig) -> list[Cell]:
    """Every cell of a grid configuration, in the order of its axes, seeds innermost.

    An axis is a list of choices of the configuration group it is named after, or a mapping from a label to the
    overrides that make it (none for the configuration as it stands). `only`, where given, names the labels of an axis
    that are wanted.

    Raises:
        ConfigError: an axis without choices or with one twice, an unknown axis or label in `only`, or two points that
            come to the same cell.
    """
    described = plain(grid)
    axes = {name: axis_choices(name, axis) for name, axis in described["axes"].items()}
    for name, wanted in (described.get("only") or {}).items():
        axes[name] = selected(axes, name, wanted)
    cells: dict[tuple[str, int], Cell] = {}
    for labels in itertools.product(*axes.values()):
        chosen = dict(zip(axes, labels, strict=True))
        extra = [override for axis, label in chosen.items() for override in axes[axis][label]]
        for seed in described["seeds"]:
            overrides = [*described["overrides"], *extra, *described["cell_overrides"], f"seed={seed}"]
            named = {axis: label for axis, label in chosen.items() if axis != "detector"}
            cell = make_cell(compose("_cell", overrides), named)
            key = (cell.cell_id, cell.seed)
            if key in cells:
                raise ConfigError(f"grid `{described['name']}`: {cell} and {cells[key]} are the same cell {key}")
            cells[key] = cell
    return list(cells.values())


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
        groups.setdefault(cell.training, []).append(cell)
    return groups
