"""The targets of an epoch without its pixels: where training puts the boxes, for statistics of a dataset.

The transforms of training run on blank images of the right sizes, so there is no second implementation of their
geometry. A size is read from the head of a file, which is many times faster than decoding it.
"""

from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from data_modules.errors import DataError


def epoch_targets(data: Any, split: Literal["train", "val"], epoch: int = 0) -> Iterator[dict[str, Any]]:
    """The targets (see `dataset.py`) of every image of a data module's split, in its order, as in `epoch` of training.

    Images of this package's datasets stay closed but for their sizes. A data module from elsewhere is read through its
    loader, pixels and all, and may shuffle or leave out an incomplete last batch.
    """
    loader = data.train_dataloader() if split == "train" else data.val_dataloader()
    if hasattr(loader.dataset, "cache"):
        dataset = copy(loader.dataset)
        dataset.cache = BlankImages()
        for index in range(len(dataset)):
            yield dataset[(epoch, index) if split == "train" else index][1]
        return
    if hasattr(getattr(loader, "sampler", None), "set_epoch"):
        loader.sampler.set_epoch(epoch)
    for batch in loader:
        yield from batch["targets"]


class BlankImages:
    """Stands in for a dataset's `DecodedCache`: zeros in the shape of the image, which is not decoded."""

    def get(self, path: Path, decode: Callable[..., NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Zeros uint8 [H, W, 3]; `decode` is not called.

        Raises:
            DataError: the file is missing or is no image.
        """
        return np.zeros((*image_size(path), 3), np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) as stored, an orientation tag left alone, as in `images.read_image`.

    Raises:
        DataError: the file is missing or is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: expected an image, found a file without an image's head; fetch it again") from error
    except OSError as error:
        raise DataError(f"expected the image {path}, found none that can be read ({error.strerror})") from error
    return height, width
