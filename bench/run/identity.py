"""From a composed configuration and the data it names to the two trees of an identity.

1. The data module is built and asked what it reads: names, numbers, hashes. No path is in a tree.
2. Nodes that shape weights (model, recipe, augmentation, ...) or numbers (inference, protocol, ...) are copied.
3. Both are made canonical: a class of this suite goes by its name, wherever its file lies; a path by its last part; a
   value from the environment by the expression that asks for it, since it may be a secret.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import plain
from bench.errors import ConfigError
from bench.records.identity import Tree, sha256_of_weights
from bench.run.data import DataReader
from bench.run.provenance import anonymous

OWN = ("bench.", "data_modules.")
SETTINGS = (
    "model",
    "recipe",
    "augmentation",
    "validation",
    "precision",
    "effective_batch",
    "callbacks",
    "weights",
)


def training_tree(config: Mapping[str, Any], view: Mapping[str, Any], reader: DataReader) -> dict[str, Any]:
    """What shapes the weights of a training.

    Args:
        config: the configuration, resolved.
        view: the same with nothing in it that may not be told.
        reader: of the data.
    """
    detector, validation = view["detector"], dict(view["validation"])
    evaluated = reader.evaluated(config, validation.pop("split"), config["validation"]["protocol"])
    tree = {
        "model": detector["model"],
        "recipe": detector["recipe"],
        "augmentation": detector["augmentation"],
        "data": reader.read(config, "train"),
        "validation": {**validation, "data": evaluated},
        "precision": view["trainer"]["precision"],
        "effective_batch": effective_batch(config),
    }
    if view.get("callbacks"):
        tree["callbacks"] = view["callbacks"]
    if config.get("weights"):
        tree["weights"] = sha256_of_weights(Path(config["weights"]))
    return canonical(tree)


def imported_tree(view: Mapping[str, Any], weights_sha256: str | None) -> dict[str, Any]:
    """What weights that come from a file are: the network and the file; without a file they are random."""
    return canonical({"model": view["detector"]["model"], "weights": weights_sha256 or "random"})


def evaluation_tree(config: Mapping[str, Any], view: Mapping[str, Any], reader: DataReader) -> dict[str, Any]:
    """What shapes the numbers of given weights; arguments as those of `training_tree`."""
    return canonical(
        {
            "inference": view["detector"].get("inference") or {},
            "protocol": view["protocol"],
            "postprocess": view["postprocess"],
            "precision": view["trainer"]["precision"],
            "data": reader.evaluated(config, config["data"]["split"], config["protocol"]),
        }
    )


def settings(training: Tree, evaluation: Tree) -> dict[str, Any]:
    """The settings of both trees that a row's name tells where they are changed: all but data and protocol, which are
    what its board is about."""
    shown = {key: training[key] for key in SETTINGS if key in training}
    if "weights" in shown:
        shown["weights"] = shown["weights"][:12]
    return shown | {key: evaluation[key] for key in ("inference", "postprocess", "precision")}


def effective_batch(config: Mapping[str, Any]) -> int:
    """Images of one optimizer step: those of all processes, and those whose gradients accumulate."""
    trainer, recipe = config["trainer"], config["detector"]["recipe"]
    if recipe is None:
        name = config["detector"]["name"]
        raise ConfigError(f"detector `{name}` has no recipe: it cannot be trained here, only evaluated")
    return int(recipe["batch_size"]) * devices_of(trainer) * int(trainer["num_nodes"]) * int(trainer["accumulate"])


def devices_of(trainer: Mapping[str, Any]) -> int:
    """How many devices a node trains on: a number, a list of them, or all there are (`auto`, -1)."""
    devices = trainer["devices"]
    if isinstance(devices, list):
        return len(devices)
    if str(devices) not in ("auto", "-1"):
        return int(devices)
    import torch

    on_gpu = trainer["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.cuda.device_count() if on_gpu else 1


def told(config: DictConfig, resolved: Mapping[str, Any]) -> Mapping[str, Any]:
    """`resolved` with `${oc.env:NAME}` left as it stands in `config`: its value may be a secret."""
    if not asks_environment(OmegaConf.to_container(config, resolve=False)):
        return resolved
    from omegaconf.resolvers import oc

    OmegaConf.register_new_resolver("oc.env", lambda name, *default: f"${{oc.env:{name}}}", replace=True)
    try:
        return dict(plain(config))
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def asks_environment(node: Any) -> bool:
    if isinstance(node, dict):
        return any(asks_environment(value) for value in node.values())
    if isinstance(node, list):
        return any(asks_environment(value) for value in node)
    return isinstance(node, str) and "oc.env" in node


def canonical(node: Any, key: str = "") -> Any:
    """Plain JSON in which code goes by its name and files by theirs."""
    if isinstance(node, Mapping):
        return {str(name): canonical(value, str(name)) for name, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [canonical(value) for value in node]
    if isinstance(node, str):
        if key == "_target_" and node.startswith(OWN):
            return node.rsplit(".", 1)[-1]
        return anonymous(node)
    return node
