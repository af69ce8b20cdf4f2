"""The data module of a configuration, and what of it a run really reads."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from bench.config import instantiate, plain
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
    prepare: bool = True,
) -> Any:
    """The data module, its files prepared.

    Args:
        config: composed, or resolved to plain dicts.
        protocol: by whose rule images are resized for evaluation; None: the configuration's own.
        split: which split evaluation looks at; None: the configuration's own.
        prepare: let it draw or fetch what is missing.

    Raises:
        NotPreparedError: something is missing that `prepare` would make.
    """
    described = resolved(config["data"])
    node = {key: value for key, value in described.items() if key not in NOT_ARGUMENTS}
    if protocol is not None:
        node["eval_resize"] = resolved(protocol["resize"])
    if split is not None:
        node["split"] = split
    data = instantiate(node)
    if prepare:
        data.prepare_data()
    elif not getattr(data, "is_prepared", True):
        name = described["name"]
        raise NotPreparedError(f"data={name} is not drawn yet; `bench data prepare` draws it, or a training")
    return data


def resolved(node: Any) -> Any:
    return plain(node) if OmegaConf.is_config(node) else node


class DataReader:
    """What configurations read, as identities have it; each split and truth is looked at once.

    Configurations are plain dicts here.

    Args:
        prepare: as in `build_data`.
    """

    def __init__(self, prepare: bool = True) -> None:
        self.prepare = prepare
        self.summaries: dict[str, dict[str, Any]] = {}
        self.truths: dict[str, tuple[int, str]] = {}

    def read(self, config: Mapping[str, Any], split: str) -> dict[str, Any]:
        """What the data module says of a split: name, images, hashes of annotations and images."""
        key = self.key(config, split)
        if key not in self.summaries:
            self.summaries[key] = dict(build_data(config, prepare=self.prepare).summary(split))
        return dict(self.summaries[key])

    def evaluated(self, config: Mapping[str, Any], split: str, protocol: Mapping[str, Any]) -> dict[str, Any]:
        """What is read of a split in evaluation: images, and of the truth what the protocol's evaluators look at."""
        summary = self.read(config, split)
        key = json.dumps([self.key(config, split), protocol["evaluators"]], sort_keys=True)
        if key not in self.truths:
            truth = build_data(config, prepare=self.prepare).truth(split)
            self.truths[key] = truth_of(build_evaluators(protocol, truth))
        images, annotation_hash = self.truths[key]
        return {**summary, "images": images, "annotation_hash": annotation_hash}

    def key(self, config: Mapping[str, Any], split: str) -> str:
        own = {key: value for key, value in config["data"].items() if key not in (*HANDED_IN, *NOT_ARGUMENTS)}
        return json.dumps([split, own], sort_keys=True)


def build_evaluators(protocol: Mapping[str, Any] | DictConfig, truth: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluators of a protocol by name, each handed the truth."""
    if not protocol["evaluators"]:
        raise ConfigError(f"protocol `{protocol['name']}`: expected evaluators, found none")
    return {str(name): instantiate(node, truth=truth) for name, node in protocol["evaluators"].items()}


def truth_of(evaluators: Mapping[str, Any]) -> tuple[int, str]:
    """How many images evaluators look at, and the hash of all that they read of the truth."""
    hashes = {name: evaluator.truth_hash() for name, evaluator in evaluators.items()}
    counts = {len(evaluator.image_ids) for evaluator in evaluators.values()}
    if len(counts) != 1:
        raise ConfigError(f"expected evaluators of the same images, found {sorted(counts)} images in {sorted(hashes)}")
    one = len(set(hashes.values())) == 1
    return counts.pop(), next(iter(hashes.values())) if one else digest(hashes)
