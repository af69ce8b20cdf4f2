"""Cells: one detector x training settings x evaluation settings x seed, and what tells them apart.

Cells that share a `train_id` are trained once. Paths, loggers, devices, workers and the seed are in no identity: a
record is found again on another machine, and seeds of one cell lie side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import DictConfig

from bench.config import compose, plain
from bench.errors import ConfigError
from bench.records.identity import cell_id_of, difference, digest, train_id_of
from bench.records.names import check_name
from bench.run.data import DataReader
from bench.run.identity import canonical, effective_batch, evaluation_tree, imported_tree, settings, told, training_tree

# Choices of the command line that a row's name, its board or its ablations tell; any other one is a change.
NAMED = (
    "detector",
    "data",
    "protocol",
    "postprocess",
    "schedule",
    "ablation",
    "experiment",
    "debug",
    "protocol@validation.protocol",
    "postprocess@validation.postprocess",
)
FILES_OF_VALUES = ("experiment", "debug")  # choices whose name is an ablation, since no record shows it otherwise


@dataclass(frozen=True)
class Cell:
    """
    Attributes:
        config: the composed configuration, resolved.
        training, evaluation: the trees of the identity.
        ablations: what this cell changes, axis -> label; the name of its row beside the detector's.
        detector_axis: the ablation that stands for the detector, where a grid has one.
        changes: single values set otherwise than the named choices have them.
        protocol_changes: values of the protocol set otherwise than its file has them: it is another protocol then.
    """

    config: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    ablations: Mapping[str, str]
    seed: int
    detector_axis: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    protocol_changes: Mapping[str, Any] = field(default_factory=dict)
    told_config: Mapping[str, Any] | None = None  # without values from the environment, where there are any
    train_id: str = ""
    cell_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "train_id", train_id_of(self.training))
        object.__setattr__(self, "cell_id", cell_id_of(self.training, self.evaluation))

    @property
    def detector(self) -> str:
        return str(self.config["detector"]["name"])

    @property
    def dataset(self) -> str:
        return str(self.config["data"]["name"])

    @property
    def protocol(self) -> str:
        """The protocol's name; with values of its own a derived one."""
        name = str(self.config["protocol"]["name"])
        return f"{name}+{digest(self.protocol_changes)[:8]}" if self.protocol_changes else name

    @property
    def shown_config(self) -> Mapping[str, Any]:
        """The configuration as it may be kept in a file."""
        return self.config if self.told_config is None else self.told_config

    @property
    def shared_training(self) -> tuple[str, int]:
        """Cells of one training are trained once."""
        return self.train_id, self.seed

    def with_seed(self, seed: int) -> "Cell":
        config = {**self.config, "seed": seed, "data": {**self.config["data"], "seed": seed}}
        return replace(self, config=config, seed=seed)

    def __str__(self) -> str:
        ablations = ", ".join(f"{axis}={label}" for axis, label in self.ablations.items())
        return f"{self.detector} {f'({ablations}) ' if ablations else ''}seed {self.seed}"


def make_cell(
    config: DictConfig,
    words: Sequence[str] = (),
    ablations: Mapping[str, str] | None = None,
    detector_axis: str | None = None,
    told_by_axes: Sequence[str] = (),
    reader: DataReader | None = None,
) -> Cell:
    """The cell of a composed `_cell` or `train` configuration.

    Args:
        words: the overrides it was composed with.
        ablations: labels beside those of the configuration.
        told_by_axes: those of `words` that the labels of a grid tell.
    """
    reader = reader or DataReader()
    resolved = with_validation(plain(config))
    view = told_with_validation(config, resolved)
    training, evaluation = training_tree(resolved, view, reader), evaluation_tree(resolved, view, reader)
    reference = reference_settings(words, told_by_axes, reader)
    changes = {} if reference is None else difference(settings(training, evaluation), reference)
    cell = named_cell(resolved, view, training, evaluation, changes, words, ablations)
    return replace(cell, detector_axis=detector_axis)


def weights_cell(
    config: DictConfig,
    weights_sha256: str | None,
    words: Sequence[str] = (),
    ablations: Mapping[str, str] | None = None,
    reader: DataReader | None = None,
) -> Cell:
    """A cell whose training is a file of weights, or random ones; arguments as those of `make_cell`."""
    reader = reader or DataReader()
    resolved = plain(config)
    view = told(config, resolved)
    training, evaluation = imported_tree(view, weights_sha256), evaluation_tree(resolved, view, reader)
    own = {"model": training["model"]} | {key: evaluation[key] for key in ("inference", "postprocess", "precision")}
    reference = reference_config(words, ())
    changes: dict[str, Any] = {}
    if reference is not None:
        named = plain(reference)
        other = {"model": named["detector"]["model"], "inference": named["detector"].get("inference") or {}}
        other |= {"postprocess": named["postprocess"], "precision": named["trainer"]["precision"]}
        changes = difference(own, canonical(other))
    return named_cell(resolved, view, training, evaluation, changes, words, ablations)


def named_cell(
    resolved: dict[str, Any],
    view: Mapping[str, Any],
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    changes: Mapping[str, Any],
    words: Sequence[str],
    ablations: Mapping[str, str] | None,
) -> Cell:
    """A cell with its labels and with what its protocol changes; `view` is `resolved` as it may be kept in a file."""
    for group in ("detector", "data", "protocol"):
        check_name(f"{group}.name", str(resolved[group]["name"]))
    return Cell(
        config=resolved,
        training=training,
        evaluation=evaluation,
        ablations=labels_of(resolved, words, ablations),
        seed=int(resolved["seed"]),
        changes=changes,
        protocol_changes=protocol_changes(view["protocol"]),
        told_config=None if view is resolved else view,
    )


def with_validation(config: dict[str, Any]) -> dict[str, Any]:
    """With `validation.inference` as the detector's YAML has it, whatever `detector.inference` is by now.

    The checkpoint that a training keeps is thus the same for all cells that share it.
    """
    effective_batch(config)  # refuses a detector that is not trained
    validation = config["validation"]
    if validation["inference"] is None and not config["detector"].get("inference"):
        validation = {**validation, "inference": {}}  # as with most detectors: nothing to look up
    elif validation["inference"] is None:
        pristine = compose("model", [f"detector={config['detector']['name']}"]).detector.get("inference")
        validation = {**validation, "inference": plain(pristine) if pristine else {}}
    return {**config, "validation": validation}


def told_with_validation(config: DictConfig, resolved: dict[str, Any]) -> Mapping[str, Any]:
    view = told(config, resolved)
    return view if view is resolved else with_validation(dict(view))


def labels_of(config: Mapping[str, Any], words: Sequence[str], more: Mapping[str, str] | None) -> dict[str, str]:
    files = {key: word.split("=", 1)[1] for word in words if (key := key_of(word)) in FILES_OF_VALUES and "=" in word}
    return {str(key): str(value) for key, value in {**config["ablations"], **files, **(more or {})}.items()}


def reference_settings(words: Sequence[str], told_by_axes: Sequence[str], reader: DataReader) -> dict[str, Any] | None:
    """The settings that the named choices and labels of a grid alone would give; None where nothing else is said."""
    config = reference_config(words, told_by_axes)
    if config is None:
        return None
    named = with_validation(plain(config))
    return settings(training_tree(named, named, reader), evaluation_tree(named, named, reader))


def reference_config(words: Sequence[str], told_by_axes: Sequence[str]) -> DictConfig | None:
    named = [word for word in words if key_of(word) in NAMED or word in told_by_axes or told_by_its_board(word)]
    return None if len(named) == len(words) else compose("_cell", named)


def key_of(word: str) -> str:
    return word.split("=", 1)[0].lstrip("+~")


def told_by_its_board(word: str) -> bool:
    """Whether an override says which data is read or under which protocol: rows that differ in these never meet."""
    return key_of(word).startswith(("data.", "paths.", "protocol."))


def protocol_changes(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a protocol that its file has otherwise.

    Raises:
        ConfigError: there is no file of its name.
    """
    name = str(protocol["name"])
    try:
        pristine = compose("_under_protocol", [f"protocol={name}"]).protocol
    except ConfigError as error:
        raise ConfigError(
            f"expected protocol `{name}` to be the file conf/protocol/{name}.yaml, found none of that name; "
            "a protocol of yours is a file called like it in the folder protocol/ of your --config-dir"
        ) from error
    return difference(canonical(protocol), canonical(plain(pristine)))
