"""Reading ahead: the order asked for, room, errors, and an end in the middle."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_modules.errors import DataError
from data_modules.loading.ahead import Ahead
from data_modules.loading.dataset import EvalImages
from data_modules.loading.loader import AheadLoader
from data_modules.loading.samples import ResizedImages
from data_modules.loading.transforms.sample import Sample


class Numbered(ResizedImages):
    """Image k is k everywhere, 10 x 10 pixels, 300 bytes; later ones are read faster. Image `bad` is damaged."""

    def __init__(self, length: int, bad: int | None = None) -> None:
        nothing: Any = SimpleNamespace(path="")
        super().__init__(Path(), [nothing] * length, lambda sample: sample)
        self.bad = bad
        self.read: list[int] = []

    def resized(self, index: int) -> tuple[Sample, tuple[int, int]]:
        time.sleep(0.002 * (len(self) - index) / len(self))
        self.read.append(index)
        if index == self.bad:
            raise DataError("damaged")
        nothing: Any = (np.zeros((0, 4)), np.zeros(0), np.zeros((0, 0, 3)), np.zeros(0, bool))
        return Sample(np.full((10, 10, 3), index, np.uint8), *nothing), (20, 30)


def running() -> int:
    return threading.active_count()


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_order_is_the_one_asked_for(threads: int) -> None:
    order = [4, 2, 0, 2, 7]
    ahead = Ahead(Numbered(8), order, threads)
    found = [ahead.take(place) for place in range(len(order))]
    assert [int(sample.image[0, 0, 0]) for sample, _ in found] == order
    assert [size for _, size in found] == [(20, 30)] * 5
    ahead.close()


def test_no_more_is_read_than_there_is_room_for() -> None:
    images = Numbered(30)
    before = running()
    ahead = Ahead(images, range(30), threads=2, room=1000)  # of 300 bytes each
    time.sleep(0.1)
    assert 4 <= len(images.read) <= 5  # four that fit, and one that was begun beside the last of them
    for place in range(30):
        assert int(ahead.take(place)[0].image[0, 0, 0]) == place
        assert len(images.read) <= place + 6
    ahead.close()
    assert running() == before


def test_an_error_belongs_to_its_image() -> None:
    ahead = Ahead(Numbered(6, bad=3), range(6), threads=2)
    assert [int(ahead.take(place)[0].image[0, 0, 0]) for place in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="damaged"):
        ahead.take(3)
    assert int(ahead.take(4)[0].image[0, 0, 0]) == 4
    ahead.close()


def test_closing_in_the_middle_ends_the_threads() -> None:
    before = running()
    ahead = Ahead(Numbered(100), range(100), threads=3, room=600)
    ahead.take(0)
    ahead.close()
    assert running() == before


class Items(Numbered, EvalImages):
    def item(self, index: int, read: Any) -> Any:
        return read[0].image, {"index": index}


@pytest.mark.parametrize("threads", [0, 2])
def test_batches(threads: int) -> None:
    before = running()
    loader = AheadLoader(Items(5), batch_size=2, threads=threads)
    for _ in range(2):  # epochs
        batches = list(loader)
        assert [[target["index"] for target in batch["targets"]] for batch in batches] == [[0, 1], [2, 3], [4]]
        assert [[int(image[0, 0, 0]) for image in batch["images"]] for batch in batches] == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3
    part = AheadLoader(Items(5), batch_size=2, threads=threads, order=[1, 4, 3])
    assert [[target["index"] for target in batch["targets"]] for batch in part] == [[1, 4], [3]]
    for _ in loader:
        break  # the loop ends early, and the threads with it
    assert running() == before


def test_images_that_are_being_read_already_are_taken_once() -> None:
    images = Items(4)
    begun = Ahead(images, range(4), threads=1)
    loader = AheadLoader(images, batch_size=4, threads=1, begun=begun)
    next(iter(loader))
    assert images.read == [0, 1, 2, 3]
    next(iter(loader))
    assert images.read == [0, 1, 2, 3] * 2
