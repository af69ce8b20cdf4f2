"""Loaders over a dataset's files: cache, workers, order. Only iterating a loader opens images."""

from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl

from data_modules.errors import DataError
from data_modules.loading.ahead import Ahead
from data_modules.loading.cache.decoded import DecodedCache
from data_modules.loading.collate import collate_stacked
from data_modules.loading.dataset import EvalImages, EvalResizeRule, TrainImages, TrainTransformRule
from data_modules.loading.device.loader import DeviceTrainLoader
from data_modules.loading.files import DatasetFiles, Split
from data_modules.loading.loader import AheadLoader, ResumableLoader, prepare_worker
from data_modules.loading.sampling import BatchShareSampler, EpochSampler


class DetectionData(pl.LightningDataModule):
    """A dataset with loaders. A subclass names its `Files`, a `DatasetFiles`, which knows the layout on disk.

    Args:
        root: of the dataset.
        train_transform: (Sample, numpy Generator) -> Sample of one size for all; None where nothing is trained.
        eval_resize: Sample -> Sample.
        num_classes: how many classes a detector is built for; None checks nothing.
        batch_size, eval_batch_size: per process. Training drops an incomplete last batch, unless it is the only one.
            Of several processes each takes its share (see `sampling.py`).
        num_workers: processes that read for training, threads that read for evaluation; batches do not depend on it.
        seed: of order and augmentation; a sample's draws depend on (seed, epoch, index) alone.
        pin_memory: as in torch's DataLoader.
        cache: a folder to keep decoded images in (see `cache/`), of any dataset; None decodes in every epoch.
        cache_gib: the most that folder may grow to.
        device_augmentation: crop, resize, flip and distort whole batches where the detector trains, decoded images
            kept there (see `device/`). Crops and boxes are those of the CPU path.
        device_gib: the most that may be kept there; the rest is decoded in every epoch.
        files: what `Files` takes beside `root`.
    """

    Files: ClassVar[type[DatasetFiles]]

    def __init__(
        self,
        root: str | Path | None,
        train_transform: TrainTransformRule | None,
        eval_resize: EvalResizeRule,
        num_classes: int | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 8,
        num_workers: int = 2,
        seed: int = 0,
        pin_memory: bool = False,
        cache: str | Path | None = None,
        cache_gib: float = 8.0,
        device_augmentation: bool = False,
        device_gib: float = 32.0,
        **files: Any,
    ) -> None:
        super().__init__()
        self.files = self.Files(root, **files)
        self.name = self.files.name
        self.split = self.files.split
        self.expected_classes = num_classes
        self.device_augmentation = device_augmentation
        self.device_gib = device_gib
        self.train_transform = train_transform
        self.eval_resize = eval_resize
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.pin_memory = pin_memory
        self.cache_folder = None if cache is None else Path(cache).expanduser()
        self.cache_gib = cache_gib
        self.begun: Ahead | None = None  # images of the evaluated split that are being read already

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return tuple(self.files.class_names)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def is_prepared(self) -> bool:
        return self.files.is_prepared

    def prepare_data(self) -> None:
        self.files.prepare()

    def summary(self, split: Split) -> dict[str, Any]:
        """What is read of a split; see `DatasetFiles.summary`."""
        return self.files.summary(split)

    def truth(self, split: Split | None = None) -> dict[str, Any]:
        """What evaluators are handed of a split; see `DatasetFiles.truth`."""
        return self.files.truth(split)

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs.

        Raises:
            DataError: a file of the layout is missing or malformed, or has other classes than the detector.
        """
        self.files.check(stage)
        if self.expected_classes not in (None, len(self.class_names)):
            raise DataError(
                f"{self.name}: expected {self.expected_classes} classes, found {len(self.class_names)}; "
                f"set data.num_classes={len(self.class_names)}, or choose some with data.classes=[...]"
            )

    def train_dataloader(self) -> ResumableLoader | DeviceTrainLoader:
        """Stacked batches; the order and the augmentations change with the epoch."""
        images = self.files.annotated("train")
        if self.train_transform is None:
            raise DataError("expected an augmentation for training, found detector.augmentation=null")
        dataset = TrainImages(self.files.folder("train"), images, self.train_transform, self.seed, self._cache())
        sampler = EpochSampler(len(dataset), self.seed, batch_size=self.batch_size)
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
            **self._workers(),
        )
        loader.first_batch = self._next_batch
        return loader

    def val_dataloader(self) -> AheadLoader:
        """Ragged batches of the evaluated split, in the order of its annotations."""
        folder, images = self.files.folder(self.split), self.files.annotated(self.split)
        dataset = EvalImages(folder, images, self.eval_resize, self._cache())
        share = BatchShareSampler(len(dataset), self.eval_batch_size)
        begun, self.begun = self.begun, None
        return AheadLoader(dataset, share.batch_size, self.num_workers, share.indices, begun, self.pin_memory)

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
