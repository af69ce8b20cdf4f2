"""Reading ahead: threads decode and resize the images that come next while the network works on others.

Decoding and resizing release Python's lock, so threads do as well as processes, start at once, and hand over what they
read without copying it. They may begin before torch is imported, which takes longer than reading hundreds of images.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import cv2

from data_modules.loading.samples import ResizedImages
from data_modules.loading.transforms.sample import Sample

Read = tuple[Sample, tuple[int, int]]  # a resized sample, and (H, W) of the original image
ROOM = 512 * 2**20  # bytes of pixels read and not yet taken


class Ahead:
    """Reads the images `order` of `images` in that order; each is to be taken once, in the same order.

    Args:
        threads: that read at the same time; with 0 an image is read when it is taken.
        room: bytes of pixels that may wait.
    """

    def __init__(self, images: ResizedImages, order: Sequence[int], threads: int, room: int = ROOM) -> None:
        self.images, self.order, self.room = images, order, room
        self._changed = threading.Condition()
        self._ready: dict[int, Read | BaseException] = {}
        self._begun = self._waiting = 0
        self._closed = False
        if threads:
            cv2.setNumThreads(0)  # threads of threads would fight for the cores
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def take(self, place: int) -> Read:
        """What was read at `order[place]`.

        Raises:
            DataError: the image is missing or damaged.
        """
        if not self._threads:
            return self.images.resized(self.order[place])
        with self._changed:
            self._changed.wait_for(lambda: place in self._ready)
            found = self._ready.pop(place)
            self._waiting -= size_of(found)
            self._changed.notify_all()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Stop reading; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (place := self._next()) is not None:
            found = attempt(self.images.resized, self.order[place])
            with self._changed:
                self._ready[place] = found
                self._waiting += size_of(found)
                self._changed.notify_all()

    def _next(self) -> int | None:
        """The place to read next, once there is room for it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting < self.room)
            if self._closed or self._begun == len(self.order):
                return None
            self._begun += 1
            return self._begun - 1


def attempt(read: Callable[[int], Read], index: int) -> Read | BaseException:
    """What is read, or the error, which belongs to whoever takes the image."""
    try:
        return read(index)
    except BaseException as error:
        return error


def size_of(found: Any) -> int:
    """Bytes of the pixels."""
    return 0 if isinstance(found, BaseException) else int(found[0].image.nbytes)
