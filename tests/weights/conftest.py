"""Detectors in which norms do something, for the tests of this folder."""

from collections.abc import Callable

import pytest
from torch import nn

MoveNorms = Callable[..., None]


@pytest.fixture(scope="session")
def move_norms() -> MoveNorms:
    """Draws every batch norm's weight from a range, its bias and mean about zero, its variance from 0.5 to 1.5."""

    def move(module: nn.Module, weights: tuple[float, float] = (0.5, 1.5), std: float = 1.0) -> None:
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                nn.init.uniform_(norm.weight, *weights)
                nn.init.normal_(norm.bias, std=std)
                nn.init.normal_(norm.running_mean, std=std)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)

    return move
