"""Detectors in which norms do something, and their files, for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bench as suite
from bench.detectors.base import Detector
from bench.weights.onnx.export import export_onnx

MoveNorms = Callable[..., None]
Bypass = Callable[[Any, Any], None]


@pytest.fixture(scope="session")
def move_norms() -> MoveNorms:
    """Draws every norm's weight from a range, its bias and mean about zero, its variance from 0.5 to 1.5."""

    def move(module: nn.Module, weights: tuple[float, float] = (0.5, 1.5), std: float = 1.0) -> None:
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d | nn.GroupNorm):
                nn.init.uniform_(norm.weight, *weights)
                nn.init.normal_(norm.bias, std=std)
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                nn.init.normal_(norm.running_mean, std=std)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)

    return move


@pytest.fixture(scope="session")
def bypass() -> Bypass:
    """Takes a node out of a graph's list; who read its result reads its input."""

    def take_out(nodes: Any, node: Any) -> None:
        for other in nodes:
            other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]
        nodes.remove(node)

    return take_out


@pytest.fixture(scope="session")
def exported(move_norms: MoveNorms, bypass: Bypass) -> Callable[..., Detector]:
    """A detector with random weights and moved norms, and its ONNX file at `path`."""

    def export(name: str, path: Path, normalisation: bool = False) -> Detector:
        onnx = pytest.importorskip("onnx")
        torch.manual_seed(0)
        detector = suite.create_detector(name)
        move_norms(detector)
        export_onnx(detector, path, simplified=False)
        if not normalisation:
            model = onnx.load(str(path))
            bypass(model.graph.node, next(node for node in model.graph.node if node.op_type == "Sub"))
            onnx.save(model, str(path))
        return detector

    return export
