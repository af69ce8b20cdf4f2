"""A published ONNX file -> the state dict of our detector.

Operators are matched by structure, whatever the file calls them: kind, weight shape, stride, padding, groups, epsilon,
which operators feed it and what lies between. Nothing is imported unless everything fits.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import WeightsError
from bench.weights.module_graph import Place, module_operators
from bench.weights.norms import folded
from bench.weights.onnx.graph import Numbers, onnx_operators
from bench.weights.operators import Operator, mismatches

SHOWN = 20  # mismatches in a message


def import_onnx(detector: nn.Module, path: Path, name: str) -> dict[str, Tensor]:
    """The detector's state dict with the file's weights; the detector itself is left alone.

    Raises:
        WeightsError: with the list of what does not fit.
    """
    expected, found = module_operators(detector), onnx_operators(path)
    problems = mismatches([own for own, _ in expected], [other for other, _ in found])
    problems = problems or bias_mismatches(expected, found)
    if problems:
        raise WeightsError(
            f"{path} does not fit detector `{name}`: {len(expected)} operators expected, {len(found)} found, "
            f"{len(problems)} mismatches:\n  {listed(problems)}\n"
            f"Name the detector that these weights belong to with detector=..."
        )
    state: dict[str, Tensor] = {}
    norms = dict(detector.named_modules())
    for (_, place), (operator, numbers) in zip(expected, found, strict=True):
        for key, value in placed(place, numbers, norms).items():
            if key in state and not torch.equal(state[key], value):
                raise WeightsError(
                    f"{path}: {operator.name} differs from an earlier use of {key}; `{name}` shares these weights, "
                    f"the file does not"
                )
            state[key] = value
    own = detector.state_dict()
    missing = [key for key in own if key not in state]
    if missing:
        raise WeightsError(f"{path}: nothing in the graph for {len(missing)} tensors of `{name}`:\n  {listed(missing)}")
    return {key: state[key].to(own[key].dtype) for key in own}


def placed(place: Place, numbers: Numbers, modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Numbers under the names of the state dict; a bias goes into the norm where there is one."""
    state = {} if numbers.weight is None else {place.weight: numbers.weight}
    if place.norm is not None:
        norm = modules[place.norm]
        assert isinstance(norm, nn.BatchNorm2d)
        bias = torch.zeros(norm.num_features) if numbers.bias is None else numbers.bias
        state |= {f"{place.norm}.{key}": value for key, value in folded(norm, bias).items()}
    elif place.bias is not None and numbers.bias is not None:
        state[place.bias] = numbers.bias
    return state


def bias_mismatches(expected: Sequence[tuple[Operator, Place]], found: Sequence[tuple[Operator, Numbers]]) -> list[str]:
    """Biases that one side has and the other has no room for."""
    lines = []
    for (own, place), (other, numbers) in zip(expected, found, strict=True):
        if place.norm is None and (place.bias is None) != (numbers.bias is None):
            has = "no bias" if numbers.bias is None else "a bias"
            lines.append(f"{other.name} has {has}, {own.name} has {'none' if place.bias is None else 'one'}")
    return lines


def listed(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([*lines[:SHOWN], *more])
