"""What data modules of annotated images on disk have in common: limits, loaders, cache, workers.

Only iterating a loader opens images; everything else reads annotations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from data_modules.cache import DecodedCache
from data_modules.collate import collate_ragged, collate_stacked
from data_modules.dataset import AnnotatedImage, EvalImages, EvalResizeRule, TrainImages, TrainTransformRule
from data_modules.device.loader import DeviceTrainLoader
from data_modules.loader import ResumableLoader, prepare_worker
from data_modules.sampling import EpochSampler

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


class DetectionData(pl.LightningDataModule):
    """Loaders over the images that `annotated` tells, in the folder that `folder` tells.

    Args:
        train_transform: (Sample, numpy Generator) -> Sample of one size for all.
        eval_resize: Sample -> Sample.
        batch_size, eval_batch_size: per process. Training drops an incomplete last batch, unless it is the only one.
        num_workers: processes of each loader; batches do not depend on it.
        seed: of order and augmentation; a sample's draws depend on (seed, epoch, index) alone.
        train_images, val_images: only the first so many (smoke runs).
        pin_memory: as in torch's DataLoader.
        cache: a folder to keep decoded images in (see `cache.py`), of any dataset; None decodes in every epoch.
        cache_gib: the most that folder may grow to.
        device_augmentation: crop, resize, flip and distort whole batches where the detector trains, decoded images
            kept there (see `device/`). Crops and boxes are those of the CPU path.
        device_gib: the most that may be kept there; the rest is decoded in every epoch.
    """

    def __init__(
        self,
        train_transform: TrainTransformRule,
        eval_resize: EvalResizeRule,
        batch_size: int = 8,
        eval_batch_size: int = 8,
        num_workers: int = 2,
        seed: int = 0,
        train_images: int | None = None,
        val_images: int | None = None,
        pin_memory: bool = False,
        cache: str | Path | None = None,
        cache_gib: float = 8.0,
        device_augmentation: bool = False,
        device_gib: float = 32.0,
    ) -> None:
        super().__init__()
        self.device_augmentation = device_augmentation
        self.device_gib = device_gib
        self.train_transform = train_transform
        self.eval_resize = eval_resize
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.limits: dict[Split, int | None] = {"train": train_images, "val": val_images}
        self.pin_memory = pin_memory
        self.cache_folder = None if cache is None else Path(cache).expanduser()
        self.cache_gib = cache_gib

    def annotated(self, split: Split) -> Sequence[AnnotatedImage]:
        """The images in use with their objects."""
        raise NotImplementedError

    def folder(self, split: Split) -> Path:
        """Where the images of a split lie."""
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs.

        Raises:
            DataError: a file of the layout is missing or malformed.
        """
        for split in SPLITS if stage == "fit" else ("val",):
            self.annotated(split)

    def train_dataloader(self) -> ResumableLoader | DeviceTrainLoader:
        """Stacked batches; the order and the augmentations change with the epoch."""
        images = self.annotated("train")
        dataset = TrainImages(self.folder("train"), images, self.train_transform, self.seed, self._cache())
        sampler = EpochSampler(len(dataset), self.seed)
        if self.device_augmentation:
            device = self.trainer.strategy.root_device if self.trainer else "cpu"
            room = int(self.device_gib * 2**30)
            on_device = DeviceTrainLoader(dataset, sampler, self.batch_size, device, room, max(self.num_workers, 1))
            on_device.first_batch = self._next_batch
            return on_device
        loader = ResumableLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=collate_stacked,
            drop_last=len(sampler) >= self.batch_size,
            **self._workers(),
        )
        loader.first_batch = self._next_batch
        return loader

    def val_dataloader(self) -> ResumableLoader:
        """Ragged batches in the order of the annotations."""
        dataset = EvalImages(self.folder("val"), self.annotated("val"), self.eval_resize, self._cache())
        return ResumableLoader(dataset, batch_size=self.eval_batch_size, collate_fn=collate_ragged, **self._workers())

    def _workers(self) -> dict[str, Any]:
        return {
            "num_workers": self.num_workers,
            "pin_memory": self.pin_memory,
            "persistent_workers": self.num_workers > 0,
            "worker_init_fn": prepare_worker,
        }

    def _cache(self) -> DecodedCache | None:
        return None if self.cache_folder is None else DecodedCache(self.cache_folder, int(self.cache_gib * 2**30))

    def _next_batch(self) -> int:
        """The number of the batch a running fit takes next: not 0 only where it resumes within an epoch."""
        if self.trainer is None or not self.trainer.training:
            return 0
        return self.trainer.fit_loop.batch_idx + 1
