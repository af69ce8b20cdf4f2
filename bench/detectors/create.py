"""Detectors by name, as in timm: `list_detectors`, `create_detector`."""

import fnmatch
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import compose, instantiate, options
from bench.detectors.base import Detector
from bench.detectors.weights import load_weights
from bench.errors import ConfigError

EXTERNAL = "external/"


def list_detectors(pattern: str = "*") -> list[str]:
    """Names of the configured detectors that match a shell pattern; `external/*` for those of other makers."""
    if pattern.startswith(EXTERNAL):
        return fnmatch.filter([EXTERNAL + name for name in options("detector/external")], pattern)
    return fnmatch.filter(options("detector"), pattern)


def create_detector(
    name: str,
    weights: str | Path | None = None,
    postprocess: str = "nms",
    protocol: str = "wider_vga",
    **overrides: Any,
) -> Detector:
    """A detector in evaluation mode.

    Args:
        name: one of `list_detectors()`.
        weights: a .safetensors file or a checkpoint; None initialises at random.
        postprocess: which suppression `predict` uses, with the thresholds of `protocol`.
        overrides: values of the detector's `model` node, nested as in its YAML (`head={"channels": 32}`).

    Raises:
        ConfigError: an unknown name, or an override that the YAML does not have.
        WeightsError: weights of another detector.
    """
    check_name(name)
    config = compose("model", [f"detector={name}", f"postprocess={postprocess}", f"protocol={protocol}"])
    if overrides:
        known = config.detector.model
        try:
            config.detector.model = OmegaConf.merge(known, OmegaConf.create(overrides))
        except Exception as error:
            raise ConfigError(f"detector `{name}` does not take {overrides}: {error}") from error
    detector = build_detector(config)
    if weights is not None:
        load_weights(detector, Path(weights), name)
    return detector.eval()


def check_name(name: str) -> None:
    """Raise ConfigError, with the names that come near, unless there is such a detector."""
    if name not in list_detectors() + list_detectors(f"{EXTERNAL}*"):
        close = list_detectors(f"*{name.split('_')[0]}*")
        raise ConfigError(f"no detector `{name}`; there are {', '.join(close or list_detectors())}")


def build_detector(config: DictConfig, with_recipe: bool = False) -> Detector:
    """The detector of a composed configuration, with its `postprocess`; with its recipe when it is to be trained."""
    recipe = instantiate(config.detector.recipe) if with_recipe else None
    detector = instantiate(
        config.detector.model, postprocessor=instantiate(config.postprocess.processor), recipe=recipe
    )
    if not isinstance(detector, Detector):
        raise ConfigError(
            f"`{config.detector.model._target_}` is no Detector; derive it from bench.detectors.base.Detector"
        )
    return detector
