"""Weights into a detector: a Lightning checkpoint or a safetensors file, strictly, with the mismatches listed."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.errors import WeightsError
from bench.records.identity import check_is_file


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name. Never unpickles anything but tensors.

    Raises:
        WeightsError: the file is missing, unreadable, or holds no state dict.
    """
    check_is_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{path} cannot be read as weights ({reason}); expected safetensors, or a checkpoint of tensors alone"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"{path} holds no state dict; expected a Lightning checkpoint or a mapping of names to tensors"
        )
    return dict(state)


def load_state(module: nn.Module, path: Path, name: str) -> None:
    """Load `path` into `module`; every tensor must find its place.

    Raises:
        WeightsError: listing what is missing, unexpected or of another shape, or naming a tensor that holds NaN or
            infinity, under which nothing would be found. The module is unchanged then.
    """
    state = read_weights(path)
    check_fits(module, state, path, name)
    check_finite(state, path)
    module.load_state_dict(state)


def check_fits(module: nn.Module, state: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Raise WeightsError, with the mismatches, unless every tensor has its place in the module of detector `name`."""
    own = module.state_dict()
    problems = [f"missing {key} {tuple(own[key].shape)}" for key in own if key not in state]
    problems += [f"unexpected {key} {tuple(state[key].shape)}" for key in state if key not in own]
    problems += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        listed = "\n  ".join(problems[:10])
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise WeightsError(
            f"{path} does not fit detector `{name}`, which has {len(own)} tensors; {len(problems)} mismatches:\n"
            f"  {listed}{more}\n"
            f"Name the detector that these weights belong to with detector=..."
        )


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise WeightsError, with the names of the tensors, unless every value is finite."""
    broken = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise WeightsError(
            f"{path}: expected finite weights, found NaN or infinity in {', '.join(broken[:3])}{more}; "
            "the training diverged or the file is damaged, take an earlier checkpoint"
        )
