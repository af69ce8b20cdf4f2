"""Training epochs over the cache of decoded images: with workers, and killed in the middle."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from data_modules import WiderFace
from data_modules.loading.cache import decoded as cache_module
from data_modules.loading.cache.entry import write_entry
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation

fork = multiprocessing.get_context("fork")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if len(path.name) == 32)


def data_module(root: Path, folder: Path | None, workers: int = 0) -> WiderFace:
    options = {"batch_size": 2, "num_workers": workers, "cache": folder, "cache_gib": 0.01}
    return WiderFace(root, SquareCropAugmentation(64), ResizeLongSide(48), **options)


def batches(module: WiderFace, epochs: int) -> list[torch.Tensor]:
    """The images of some training epochs, and of one of validation."""
    loader, images = module.train_dataloader(), []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        images += [batch["images"] for batch in loader]
    return images + [image for batch in module.val_dataloader() for image in batch["images"]]


def assert_same(left: list[torch.Tensor], right: list[torch.Tensor]) -> None:
    assert len(left) == len(right) > 6
    assert all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def test_batches_with_workers(folder: Path, wider_root_of_six: Path) -> None:
    wanted = batches(data_module(wider_root_of_six, None), 3)
    for workers in (2, 0):
        assert_same(batches(data_module(wider_root_of_six, folder, workers), 3), wanted)
    assert len(entries(folder)) == 8
    dataset = data_module(wider_root_of_six, folder).train_dataloader().dataset
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[0][0], dataset[0][0])  # for workers that are spawned


def slow(file: BinaryIO, key: bytes, pixels: np.ndarray) -> None:
    write_entry(file, key, pixels)
    file.seek(1000)
    file.truncate()  # half an entry, for a while
    file.flush()
    time.sleep(0.02)
    file.seek(0)
    write_entry(file, key, pixels)


def train_in_a_group(root: Path, folder: Path) -> None:
    os.setsid()
    cache_module.write_entry = slow
    batches(data_module(root, folder, workers=2), 3)


@pytest.mark.parametrize("written", [0, 1, 3])
def test_epoch_killed_while_writing(folder: Path, wider_root_of_six: Path, written: int) -> None:
    run = fork.Process(target=train_in_a_group, args=(wider_root_of_six, folder))
    run.start()
    limit = time.monotonic() + 30
    while not (folder.is_dir() and len(entries(folder)) >= written and list(folder.glob("*.tmp"))):
        assert time.monotonic() < limit, "waited for 30 seconds in vain"
        time.sleep(0.001)
    os.killpg(run.pid or 0, signal.SIGKILL)
    run.join()
    assert run.exitcode == -signal.SIGKILL
    assert len(entries(folder)) < 6
    assert_same(batches(data_module(wider_root_of_six, folder), 3), batches(data_module(wider_root_of_six, None), 3))
