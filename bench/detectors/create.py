"""Detectors by name, as in timm: `list_detectors`, `create_detector`."""

import fnmatch
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import compose, instantiate, options, plain
from bench.detectors.base import Detector
from bench.errors import ConfigError

EXTERNAL = "external/"


def list_detectors(pattern: str = "*") -> list[str]:
    """Names of the configured detectors that match a shell pattern; `external/*` for those of other makers."""
    if pattern.startswith(EXTERNAL):
        return fnmatch.filter([EXTERNAL + name for name in options("detector/external")], pattern)
    return fnmatch.filter(options("detector"), pattern)


def create_detector(
    name: str, weights: str | Path | None = None, postprocess: str = "nms", **overrides: Any
) -> Detector:
    """A detector in evaluation mode.

    Args:
        name: one of `list_detectors()`.
        weights: a .safetensors file or a checkpoint; None initialises at random.
        postprocess: which suppression `predict` uses, with the thresholds of `conf/model.yaml`. Any callable from
            candidates to predictions may take its place later: `detector.postprocess = ...`.
        overrides: values of the detector's `model` node, nested as in its YAML (`head={"channels": 32}`).

    Raises:
        ConfigError: an unknown name, or an override that the YAML does not have.
        WeightsError: weights of another detector.
    """
    check_name(name)
    config = compose("model", [f"detector={name}", f"postprocess={postprocess}"])
    if overrides:
        known = config.detector.model
        try:
            config.detector.model = OmegaConf.merge(known, OmegaConf.create(overrides))
        except Exception as error:
            raise ConfigError(f"detector `{name}` does not take {overrides}: {error}") from error
    detector = build_detector(config.detector)
    detector.postprocess = instantiate(config.postprocess.processor)
    weights = weights or config.detector.get("weights")
    if weights is not None:
        detector.load(Path(weights), name)
    return detector.eval()


def check_name(name: str) -> None:
    """Raise ConfigError, with the names that come near, unless there is such a detector."""
    if name not in list_detectors() + list_detectors(f"{EXTERNAL}*"):
        close = list_detectors(f"*{name.split('_')[0]}*")
        raise ConfigError(f"no detector `{name}`; there are {', '.join(close or list_detectors())}")


def build_detector(node: DictConfig, with_recipe: bool = False) -> Detector:
    """The detector of a composed `detector` node: its `model` with its `inference`, and its recipe where it is trained.

    Raises:
        ConfigError: the target is no Detector, or there is no recipe to train by.
    """
    if with_recipe and node.get("recipe") is None:
        raise ConfigError(f"detector `{node.name}` has no recipe: it cannot be trained here, only evaluated")
    recipe = instantiate(node.recipe) if with_recipe else None
    inference = {key: built(value) for key, value in (node.get("inference") or {}).items()}
    detector = instantiate(node.model, recipe=recipe, **inference)
    if not isinstance(detector, Detector):
        raise ConfigError(f"`{node.model._target_}` is no Detector; derive it from bench.detectors.base.Detector")
    return detector


def built(value: Any) -> Any:
    """The object that a node with a `_target_` describes; any other value as plain Python."""
    if OmegaConf.is_dict(value) and "_target_" in value:
        return instantiate(value)
    return plain(value) if OmegaConf.is_config(value) else value
