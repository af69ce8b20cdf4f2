"""Published weights: every tensor in its place, and nothing taken that does not fit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bench
from bench.detectors.base import Detector
from bench.detectors.cascade.published import reordered
from bench.errors import WeightsError


def test_dense_columns_by_hand() -> None:
    """Maps of 2 channels, 1 row, 3 columns: theirs are (W, H, C), column 3 of ours is channel 1 at column 0."""
    theirs = torch.tensor([[0.0, 10, 1, 11, 2, 12]])  # 10 c + x, in the order x, c
    assert reordered(theirs, (2, 1, 3)).tolist() == [[0, 1, 2, 10, 11, 12]]


def test_a_folder_and_one_file_are_one(published_cascade: Callable[[], Detector], shared: Path, tmp_path: Path) -> None:
    state = published_cascade().state_dict()
    parts = {
        name: torch.load(shared / f"weights/mtcnn/{name}.pt", weights_only=True) for name in ("pnet", "rnet", "onet")
    }
    assert sum(value.numel() for value in state.values()) == 6_632 + 100_178 + 389_040
    one = tmp_path / "mtcnn.pt"
    torch.save({f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}, one)
    other = bench.create_detector("mtcnn").published(one, "mtcnn")
    assert state.keys() == other.keys()
    assert all(torch.equal(state[key], other[key]) for key in state)
    assert torch.equal(state["pnet.conv1.weight"], parts["pnet"]["conv1.weight"])
    assert not torch.equal(state["rnet.dense4.weight"], parts["rnet"]["dense4.weight"])


def test_what_does_not_fit_is_refused(shared: Path, tmp_path: Path) -> None:
    detector, source = bench.create_detector("mtcnn"), shared / "weights" / "mtcnn"
    for name in ("pnet", "rnet"):
        shutil.copyfile(source / f"{name}.pt", tmp_path / f"{name}.pt")
    with pytest.raises(WeightsError, match=r"expected pnet\.pt, rnet\.pt and onet\.pt in .*, found no onet\.pt"):
        detector.published(tmp_path, "mtcnn")
    shutil.copyfile(source / "rnet.pt", tmp_path / "onet.pt")
    with pytest.raises(WeightsError, match=r"does not fit detector `mtcnn`.*\n.*missing onet\.conv4\.weight"):
        detector.published(tmp_path, "mtcnn")
    broken = torch.load(source / "onet.pt", weights_only=True)
    broken["conv1.bias"][3] = float("nan")
    torch.save(broken, tmp_path / "onet.pt")
    with pytest.raises(WeightsError, match=r"found NaN or infinity in onet\.conv1\.bias"):
        detector.published(tmp_path, "mtcnn")
    with pytest.raises(WeightsError, match="expected weights at"):
        detector.published(tmp_path / "nothing", "mtcnn")
