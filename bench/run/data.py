"""The data module of a configuration, and what of it a run really reads.

Whoever only asks what would be read needs no Lightning. So a module that offers data modules or evaluators may say in
`DESCRIBED_BY` what answers for each without it: class name -> path of what takes those of its arguments that matter. A
class that is not described so is built, which is slower and comes to the same.
"""

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from bench.config import inside, instantiate, plain, trusted_modules
from bench.errors import BenchError, ConfigError
from bench.records.identity import digest

NOT_ARGUMENTS = ("monitor", "prepare")  # of the `data` node: for `validation` and for `bench data prepare`
HANDED_IN = (
    "train_transform",
    "eval_resize",
    "batch_size",
    "seed",
    "split",
)  # from elsewhere: no file is read otherwise


class DataDescription(Protocol):
    """What a data module says of its files, itself or by who describes it."""

    split: str

    def summary(self, split: str) -> dict[str, Any]: ...

    def truth(self, split: str | None = None) -> dict[str, Any]: ...


class GroundTruth(Protocol):
    """What an evaluator compares with."""

    @property
    def image_ids(self) -> tuple[Any, ...]: ...

    def content_hash(self) -> str: ...


class EvaluationData(Protocol):
    """What a run asks of a LightningDataModule beyond Lightning's own hooks."""

    split: str  # which split `val_dataloader` gives

    def summary(self, split: str) -> dict[str, Any]:
        """name, split, images, annotation_hash and image_hash (None where no image is there) of what is read."""

    def truth(self, split: str | None = None) -> dict[str, Any]:
        """What the evaluators of a protocol are handed."""

    def prepare_data(self) -> None: ...

    def setup(self, stage: str) -> None: ...

    def val_dataloader(self) -> Any: ...


class NotPreparedError(BenchError):
    """Data that its module makes or fetches first, where nobody may wait for that."""


def build_data(
    config: Mapping[str, Any] | DictConfig,
    protocol: Mapping[str, Any] | DictConfig | None = None,
    split: str | None = None,
) -> Any:
    """The data module, its files prepared.

    Args:
        config: composed, or resolved to plain dicts.
        protocol: by whose rule images are resized for evaluation; None: the configuration's own.
        split: which split evaluation looks at; None: the configuration's own.
    """
    node = arguments(config)
    if protocol is not None:
        node["eval_resize"] = resolved(protocol["resize"])
    if split is not None:
        node["split"] = split
    data = instantiate(node)
    data.prepare_data()
    return data


def describe_data(config: Mapping[str, Any] | DictConfig, prepare: bool = True) -> Any:
    """What knows the files of the data module (a `DataDescription`), its files prepared.

    Args:
        prepare: let it draw or fetch what is missing.

    Raises:
        NotPreparedError: something is missing that `prepare` would make.
    """
    node = arguments(config)
    description = described(node)
    files = instantiate(node if description is None else description)
    if prepare:
        (files.prepare_data if description is None else files.prepare)()
    elif not getattr(files, "is_prepared", True):
        name = resolved(config["data"])["name"]
        raise NotPreparedError(f"data={name} is not drawn yet; `bench data prepare` draws it, or a training")
    return files


def begin_reading(config: DictConfig) -> Any:
    """The images of the evaluated split, being read from now on, for `data.begun`; None where nothing reads ahead.

    Reading needs no torch, and importing that takes longer than reading hundreds of images.
    """
    node = arguments(config)
    threads = int(node.get("num_workers") or 0)
    if not threads or described(node) is None:
        return None
    files, resize = describe_data(config), instantiate(config.protocol.resize)
    return files.begin_reading(resize, threads, node.get("cache"), float(node.get("cache_gib") or 0))


def arguments(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    return {key: value for key, value in resolved(config["data"]).items() if key not in NOT_ARGUMENTS}


def described(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """The node of what describes a node's target, with those of its arguments that it takes; None: nothing does."""
    module, _, name = str(node["_target_"]).rpartition(".")
    if not inside(module, trusted_modules()):
        return None  # refused by who builds it
    path: str | None = getattr(import_module(module), "DESCRIBED_BY", {}).get(name)
    if path is None:
        return None
    taken = parameters(get_object(path))
    return {"_target_": path, **{key: value for key, value in node.items() if key in taken}}


def parameters(target: Any) -> set[str]:
    """The names that a function or a class takes, those that it hands on to its bases included."""
    homes = [vars(base).get("__init__") for base in target.__mro__] if inspect.isclass(target) else [target]
    return {name for home in homes if inspect.isfunction(home) for name in inspect.signature(home).parameters}


def resolved(node: Any) -> Any:
    return plain(node) if OmegaConf.is_config(node) else node


class DataReader:
    """What configurations read, as identities have it; each split and truth is looked at once.

    Configurations are plain dicts here.

    Args:
        prepare: as in `describe_data`.
    """

    def __init__(self, prepare: bool = True) -> None:
        self.prepare = prepare
        self.descriptions: dict[str, Any] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.truths: dict[str, tuple[int, str]] = {}

    def read(self, config: Mapping[str, Any], split: str) -> dict[str, Any]:
        """What the data module says of a split: name, images, hashes of annotations and images."""
        key = self.key(config, split)
        if key not in self.summaries:
            self.summaries[key] = dict(self.description(config).summary(split))
        return dict(self.summaries[key])

    def evaluated(self, config: Mapping[str, Any], split: str, protocol: Mapping[str, Any]) -> dict[str, Any]:
        """What is read of a split in evaluation: images, and of the truth what the protocol's evaluators look at."""
        summary = self.read(config, split)
        key = json.dumps([self.key(config, split), protocol["evaluators"]], sort_keys=True)
        if key not in self.truths:
            self.truths[key] = truth_of(ground_truths(protocol, self.description(config).truth(split)))
        images, annotation_hash = self.truths[key]
        return {**summary, "images": images, "annotation_hash": annotation_hash}

    def description(self, config: Mapping[str, Any]) -> Any:
        key = self.key(config, "")
        if key not in self.descriptions:
            self.descriptions[key] = describe_data(config, self.prepare)
        return self.descriptions[key]

    def key(self, config: Mapping[str, Any], split: str) -> str:
        own = {key: value for key, value in config["data"].items() if key not in (*HANDED_IN, *NOT_ARGUMENTS)}
        return json.dumps([split, own], sort_keys=True)


def build_evaluators(protocol: Mapping[str, Any] | DictConfig, truth: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluators of a protocol by name, each handed the truth."""
    return {name: instantiate(node, truth=truth) for name, node in evaluator_nodes(protocol).items()}


def evaluator_nodes(protocol: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """
    Raises:
        ConfigError: a protocol without evaluators.
    """
    if not protocol["evaluators"]:
        raise ConfigError(f"protocol `{protocol['name']}`: expected evaluators, found none")
    return {str(name): node for name, node in protocol["evaluators"].items()}


def ground_truths(protocol: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, GroundTruth]:
    """What each evaluator of a protocol would compare with."""
    found: dict[str, GroundTruth] = {}
    for name, node in evaluator_nodes(protocol).items():
        description = described(node)
        built = instantiate(node if description is None else description, truth=truth)
        found[name] = built.ground_truth if description is None else built
    return found


def truth_of(truths: Mapping[str, GroundTruth]) -> tuple[int, str]:
    """How many images evaluators look at, and the hash of all that they read of the truth."""
    hashes = {name: truth.content_hash() for name, truth in truths.items()}
    counts = {len(truth.image_ids) for truth in truths.values()}
    if len(counts) != 1:
        raise ConfigError(f"expected evaluators of the same images, found {sorted(counts)} images in {sorted(hashes)}")
    one = len(set(hashes.values())) == 1
    return counts.pop(), next(iter(hashes.values())) if one else digest(hashes)
