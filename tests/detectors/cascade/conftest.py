"""Cascades with random and with published weights."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bench
from bench.detectors.base import Detector

Cascade = Callable[[str], Detector]


@pytest.fixture(scope="session")
def random_cascade() -> Cascade:
    """Of a name, in evaluation mode; seed 0, under which each stage passes some of noise and refuses some."""

    def build(name: str = "mtcnn") -> Detector:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return bench.create_detector(name)

    return build


@pytest.fixture(scope="session")
def published_cascade(shared: Path) -> Cascade:
    """Of a name, with the weights that facenet-pytorch publishes."""
    source = shared / "weights" / "mtcnn"
    built: dict[str, Detector] = {}

    def build(name: str = "mtcnn") -> Detector:
        if name not in built:
            built[name] = bench.create_detector(name)
            built[name].load_state_dict(built[name].published(source, name))
        return copy.deepcopy(built[name])

    return build
