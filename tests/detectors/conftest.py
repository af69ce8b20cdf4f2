"""Fresh detectors for the tests of this folder, known by their contract alone."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.boxes import Nms
from bench.config import compose
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.evaluation.postprocess import PostProcessor

Trainable = Callable[[str], Detector]


@pytest.fixture(scope="session")
def trainable() -> Trainable:
    """A fresh copy of a detector with its recipe, whose weights no other test has a say in.

    Composing and drawing the weights takes longest and happens once.
    """
    built: dict[str, Detector] = {}

    def build(name: str) -> Detector:
        if name not in built:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                built[name] = build_detector(compose("model", [f"detector={name}"]).detector, with_recipe=True)
            built[name].postprocess = PostProcessor(Nms(0.45))
        return copy.deepcopy(built[name])

    return build


@pytest.fixture(scope="session")
def noise() -> Callable[..., list[Tensor]]:
    def draw(*sizes: tuple[int, int]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(7)
        return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]

    return draw
