"""Configurations over the small drawn sets, and over folders in WIDER FACE's layout."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from bench.config import compose
from bench.run.cells import Cell, make_cell
from bench.run.data import DataReader

SMALL = ["data.train_images=16", "data.val_images=8", "data.num_workers=0"]


@pytest.fixture(scope="session")
def words(drawn: Path) -> list[str]:
    return ["detector=scrfd_tiny", "data=synth_faces", "schedule=demo", f"data.root={drawn}", *SMALL]


@pytest.fixture(scope="session")
def composed(words: list[str]) -> Callable[..., DictConfig]:
    return lambda *more: compose("_cell", [*words, *more])


@pytest.fixture(scope="session")
def cell(words: list[str]) -> Callable[..., Cell]:
    """The cell of the small set with further overrides, named as `bench train` names it."""
    reader = DataReader()

    def build(*more: str) -> Cell:
        return make_cell(compose("_cell", [*words, *more]), [*words, *more], reader=reader)

    return build
