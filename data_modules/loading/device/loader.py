"""Training batches made on a device.

The processor draws and moves boxes, which takes about a tenth of a millisecond an image; the pixels never leave the
device again after the first epoch, and no worker process is needed. Draws come from the very code and generators of the
CPU path, so crops, boxes and order are the same to the last digit, and records say nothing new.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_modules.errors import DataError
from data_modules.loading.collate import to_tensor
from data_modules.loading.dataset import TrainImages, target_of
from data_modules.loading.device.pixels import train_pixels
from data_modules.loading.device.resident import ResidentImages
from data_modules.loading.sampling import EpochSampler
from data_modules.loading.transforms.sample import Sample
from data_modules.loading.transforms.square_crop_augmentation import SquareCropAugmentation, TrainDraws


class DeviceTrainLoader:
    """Iterates over the batches of `data`, images uint8 [B, 3, S, S] on `device`, targets on the processor.

    Lightning takes it for a data loader: it has a length and a sampler whose epoch is set, and resumes like
    `ResumableLoader`.

    Args:
        data: training images whose transform is a `SquareCropAugmentation`.
        sampler: gives `(epoch, index)`, and leaves out what fills no batch.
        batch_size: that of the sampler.
        device: where the images are kept and worked on; "cpu" works too.
        max_bytes: of decoded images kept there.
        threads: that decode what is not kept yet.

    Raises:
        DataError: the transform is another, of which this path knows nothing.
    """

    first_batch: Callable[[], int] | None = None

    def __init__(
        self,
        data: TrainImages,
        sampler: EpochSampler,
        batch_size: int,
        device: torch.device | str,
        max_bytes: int,
        threads: int = 2,
    ) -> None:
        if not isinstance(data.transform, SquareCropAugmentation):
            raise DataError(
                "expected SquareCropAugmentation for augmentation on the device, found "
                f"{type(data.transform).__name__}; switch the augmentation on the device off"
            )
        self.dataset = data
        self.transform = data.transform
        self.sampler = sampler
        self.batch_size = batch_size
        self.images = ResidentImages(torch.device(device), max_bytes)
        self.threads = threads

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.first_batch is not None:
            self.sampler.start = self.first_batch() * self.batch_size
        keys = list(self.sampler)
        with ThreadPoolExecutor(max(1, self.threads)) as pool:
            for begin in range(0, len(keys), self.batch_size):
                yield self._batch(keys[begin : begin + self.batch_size], pool)

    def _batch(self, keys: list[tuple[int, int]], pool: ThreadPoolExecutor) -> dict[str, Any]:
        images = self._images([index for _, index in keys], pool)
        draws, targets = [], []
        for (epoch, index), image in zip(keys, images, strict=True):
            draw, target = self._objects(epoch, index, image)
            draws.append(draw)
            targets.append(target)
        pixels = train_pixels(images, draws, self.transform.size, self.transform.crop.fill)
        return {"images": pixels, "targets": targets}

    def _images(self, indices: list[int], pool: ThreadPoolExecutor) -> list[Tensor]:
        """uint8 [3, H, W] on the device; what is not kept there is read, decoded and, if it fits, kept."""
        kept = {index: self.images.get(index) for index in indices}
        missing = [index for index, image in kept.items() if image is None]
        read = pool.map(lambda index: to_tensor(self.dataset.load(index).image), missing)
        found = {index: image for index, image in kept.items() if image is not None}
        found |= {index: self.images.put(index, image) for index, image in zip(missing, read, strict=True)}
        return [found[index] for index in indices]

    def _objects(self, epoch: int, index: int, image: Tensor) -> tuple[TrainDraws, dict[str, Any]]:
        """What `data[epoch, index]` draws, and its target."""
        annotation = self.dataset.images[index]
        shape = np.broadcast_to(np.uint8(0), (*image.shape[1:], 3))  # of the pixels the draws ask nothing else
        sample = Sample(shape, annotation.boxes, annotation.labels, annotation.keypoints, annotation.ignore)
        draw = self.transform.draw(sample, np.random.default_rng([self.dataset.seed, epoch, index]))
        moved = self.transform.objects(sample, draw)
        square = np.broadcast_to(np.uint8(0), (self.transform.size, self.transform.size, 3))
        return draw, target_of(annotation, replace(moved, image=square))

    def state_dict(self) -> dict[str, Any]:
        """Empty, as `ResumableLoader`'s."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""
