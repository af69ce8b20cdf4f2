"""Weights that fit, weights that do not, and files that are no weights."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.detectors.create import create_detector
from bench.errors import WeightsError
from bench.records.identity import file_sha256
from bench.weights.load import load_state, read_weights


class Malice:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_weights_of_another_detector(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": create_detector("blazeface_tiny").state_dict()}, path)
    with pytest.raises(WeightsError) as caught:
        create_detector("scrfd_tiny", weights=path)
    message = str(caught.value)
    assert str(path) in message
    assert "does not fit detector `scrfd_tiny`" in message
    assert "missing backbone.stem.0.weight (8, 3, 3, 3)" in message
    assert "more\n" in message
    assert "detector=..." in message


def test_every_kind_of_mismatch_is_listed_and_nothing_changes(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(4), "1.weight": torch.ones(1, 3), "new": torch.ones(5)}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_state(module, tmp_path / "w.safetensors", "linear")
    assert "which has 4 tensors; 3 mismatches" in str(caught.value)
    for line in ("missing 1.bias (1,)", "unexpected new (5,)", "0.bias is (4,), expected (3,)"):
        assert line in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite(value: float, suffix: str, tmp_path: Path) -> None:
    """One such number in one tensor of many: that one is named, and the module stays as it was."""
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = {name: tensor + 1 for name, tensor in before.items()}
    state["1.running_var"][1] = value
    path = tmp_path / f"w.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3}, path)
    told = rf"w\.{suffix}: expected finite weights, found NaN or infinity in 1\.running_var; .* earlier checkpoint"
    with pytest.raises(WeightsError, match=told):
        load_state(module, path, "convolutions")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_many_tensors_that_are_not_finite(tmp_path: Path) -> None:
    """Named are three; those of another shape come first, since then it is another detector's file."""
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    state = {name: torch.full_like(tensor, math.nan) for name, tensor in module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"in 0\.bias, 0\.weight, 1\.bias and 3 more;"):
        load_state(module, tmp_path / "w.safetensors", "linear")
    with pytest.raises(WeightsError, match="does not fit detector `other`"):
        load_state(module[0], tmp_path / "w.safetensors", "other")


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_a_detector_refuses_them(suffix: str, tmp_path: Path) -> None:
    """As shared/cases/nan_weights makes them, which evaluated to a record of AP 0."""
    state = {name: tensor.clone() for name, tensor in create_detector("scrfd_tiny").state_dict().items()}
    first = next(name for name, tensor in state.items() if name.endswith("weight") and tensor.ndim == 4)
    state[first][:] = math.nan
    path = tmp_path / f"nan.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state}, path)
    with pytest.raises(WeightsError, match=rf"nan\.{suffix}: .* found NaN or infinity in {first};"):
        create_detector("scrfd_tiny", weights=path)


@pytest.mark.parametrize("wrapped", [True, False])
def test_plain_and_lightning_states(wrapped: bool, tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    state = module.state_dict()
    torch.save(
        {"state_dict": state, "epoch": 1, "callbacks": {"x": {"best": None}}} if wrapped else state, tmp_path / "w.pt"
    )
    other = nn.Linear(2, 3)
    load_state(other, tmp_path / "w.pt", "linear")
    assert torch.equal(other.weight, module.weight)


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.98])
def test_truncated_files(suffix: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / f"w.{suffix}"
    state = nn.Linear(20, 30).state_dict()
    if suffix == "ckpt":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(WeightsError, match=r"cannot be read as weights \(.+\); expected safetensors"):
        read_weights(path)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, folder = tmp_path / "w.ckpt", tmp_path / "made_by_the_pickle"
    torch.save({"state_dict": nn.Linear(1, 1).state_dict(), "extra": Malice(folder)}, path)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(path)
    assert not folder.exists()
    torch.load(path, weights_only=False)  # it would have
    assert folder.exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 3}}, {"epoch": 3}, torch.zeros(2)])
def test_files_without_a_state(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_weights(tmp_path / "w.pt")


def test_a_file_of_text(tmp_path: Path) -> None:
    (tmp_path / "w.ckpt").write_text("not weights at all\n")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(tmp_path / "w.ckpt")


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(WeightsError, match=r"found no file; give a \.safetensors"):
            read_weights(path)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")  # the standard's own example
