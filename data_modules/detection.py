"""What data modules of annotated images on disk have in common: splits, limits, fingerprints, loaders, cache, workers.

Only iterating a loader opens images; everything else reads annotations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytorch_lightning as pl

from data_modules.cache import DecodedCache
from data_modules.collate import collate_ragged, collate_stacked
from data_modules.dataset import AnnotatedImage, EvalImages, EvalResizeRule, TrainImages, TrainTransformRule
from data_modules.device.loader import DeviceTrainLoader
from data_modules.errors import DataError
from data_modules.fingerprint import annotation_hash, image_hash, remembered
from data_modules.loader import ResumableLoader, prepare_worker
from data_modules.sampling import EpochSampler

Split = Literal["train", "val", "held_out"]
Images = TypeVar("Images", bound=Sequence[Any])


class DetectionData(pl.LightningDataModule):
    """Loaders over the images that `annotated` tells, in the folder that `folder` tells.

    Args:
        train_transform: (Sample, numpy Generator) -> Sample of one size for all; None where nothing is trained.
        eval_resize: Sample -> Sample.
        name: of the dataset, for records; None takes the class's own.
        split: which split evaluation looks at: val, train, or held_out, the images taken out of train.
        held_out: number of training images, spread evenly over them, that are held out of train.
        num_classes: how many classes a detector is built for; None checks nothing.
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
        train_transform: TrainTransformRule | None,
        eval_resize: EvalResizeRule,
        name: str | None = None,
        split: Split = "val",
        held_out: int = 0,
        num_classes: int | None = None,
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
        _check_split(split, held_out)
        self.name = name or type(self).name
        self.split = split
        self.held_out = held_out
        self.expected_classes = num_classes
        self.device_augmentation = device_augmentation
        self.device_gib = device_gib
        self.train_transform = train_transform
        self.eval_resize = eval_resize
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.limits: dict[Split, int | None] = {"train": train_images, "val": val_images, "held_out": None}
        self.pin_memory = pin_memory
        self.cache_folder = None if cache is None else Path(cache).expanduser()
        self.cache_gib = cache_gib

    name: str
    class_names: Sequence[str]

    def annotated(self, split: Split) -> Sequence[AnnotatedImage]:
        """The images in use with their objects."""
        raise NotImplementedError

    def folder(self, split: Split) -> Path:
        """Where the images of a split lie."""
        raise NotImplementedError

    def classes_of(self, split: Split) -> Sequence[str]:
        """Names of the labels, as the annotations of a split have them."""
        return self.class_names

    def sources(self, split: Split) -> tuple[list[Path], dict[str, Any]]:
        """The annotation files of a split, and the settings under which they are read."""
        raise NotImplementedError

    def truth(self, split: Split | None = None) -> dict[str, Any]:
        """What evaluators are handed of a split (default: the evaluated one): `targets`, and forms of their own.

        `targets` is a function that gives the annotated images.
        """
        wanted = split or self.split
        return {"targets": lambda: self.annotated(wanted)}

    def summary(self, split: Split) -> dict[str, Any]:
        """What is read of a split: its name, the number of its images, and hashes of annotations and images.

        Raises:
            DataError: annotations are missing or malformed.
        """
        files, settings = self.sources(split)
        limits = {"held_out": self.held_out, "limit": self.limits[split], "split": split}
        reader = f"{type(self).__module__}.{type(self).__qualname__}"
        found = remembered(files, {**settings, **limits, "reader": reader}, lambda: self._read_summary(split))
        return {
            "name": self.name,
            "split": split,
            "images": len(found["paths"]),
            "annotation_hash": found["annotation_hash"],
            "image_hash": self._image_hash(split, found["paths"]),
        }

    def _read_summary(self, split: Split) -> dict[str, Any]:
        images = self.annotated(split)
        return {
            "annotation_hash": annotation_hash(images, self.classes_of(split)),
            "paths": [image.path for image in images],
        }

    def _image_hash(self, split: Split, paths: Sequence[str]) -> str | None:
        return image_hash(self.folder(split), paths)

    def limited(self, images: Images, split: Split) -> Images:
        """The images of a file that belong to a split: train without those held out, the first so many.

        Raises:
            DataError: images of `held_out` are asked for where none are held out, or no image would be left to train.
        """
        _check_split(split, self.held_out)
        if split == "val" or not self.held_out:
            return images[: self.limits[split]]  # type: ignore[return-value]
        if self.held_out >= len(images):
            raise DataError(f"expected data.held_out below the {len(images)} training images, found {self.held_out}")
        held = {number * len(images) // self.held_out for number in range(self.held_out)}
        chosen = [image for index, image in enumerate(images) if (index in held) == (split == "held_out")]
        return chosen[: self.limits[split]]  # type: ignore[return-value]

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs.

        Raises:
            DataError: a file of the layout is missing or malformed, or has other classes than the detector.
        """
        for split in dict.fromkeys(("train", self.split) if stage == "fit" else (self.split,)):
            self.annotated(split)
        if self.expected_classes not in (None, len(self.class_names)):
            raise DataError(
                f"{self.name}: expected {self.expected_classes} classes, found {len(self.class_names)}; "
                f"set data.num_classes={len(self.class_names)}, or choose some with data.classes=[...]"
            )

    def train_dataloader(self) -> ResumableLoader | DeviceTrainLoader:
        """Stacked batches; the order and the augmentations change with the epoch."""
        images = self.annotated("train")
        if self.train_transform is None:
            raise DataError("expected an augmentation for training, found detector.augmentation=null")
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
        """Ragged batches of the evaluated split, in the order of its annotations."""
        dataset = EvalImages(self.folder(self.split), self.annotated(self.split), self.eval_resize, self._cache())
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


def _check_split(split: Split, held_out: int) -> None:
    known = split in ("val", "train") or (split == "held_out" and held_out)
    if not known or not isinstance(held_out, int) or held_out < 0:
        raise DataError(
            "expected data.split to be val, train, or held_out with a number of images in data.held_out; "
            f"found split={split}, held_out={held_out}"
        )


def of_release(split: Split) -> str:
    """The split of the official release in which the images lie: those held out come from train."""
    return "val" if split == "val" else "train"
