"""Fresh detectors for the tests of this folder."""

import copy
from collections.abc import Callable

import pytest
import torch

from bench.config import compose
from bench.detectors.create import build_detector
from bench.detectors.dense import DenseDetector

Trainable = Callable[[str], DenseDetector]


@pytest.fixture(scope="session")
def trainable() -> Trainable:
    """A fresh copy of a detector with its recipe, whose weights no other test has a say in.

    Composing and drawing the weights takes longest and happens once.
    """
    built: dict[str, DenseDetector] = {}

    def build(name: str) -> DenseDetector:
        if name not in built:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                detector = build_detector(compose("model", [f"detector={name}"]), with_recipe=True)
            assert isinstance(detector, DenseDetector)
            built[name] = detector
        return copy.deepcopy(built[name])

    return build
