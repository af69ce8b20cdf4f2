"""Images without annotations: a file, or a folder that is searched. What `predict` reads, and latency is timed on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from data_modules.errors import DataError
from data_modules.loading.collate import Item, collate_ragged, to_tensor
from data_modules.loading.dataset import EvalResizeRule
from data_modules.loading.images import read_image
from data_modules.loading.transforms.sample import Sample

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def find_images(source: Path) -> list[Path]:
    """The image itself, or every image below a folder, sorted.

    Raises:
        DataError: nothing is there, or no image in it.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"expected an image or a folder of images at {source}, found nothing")
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"expected images ({', '.join(SUFFIXES)}) below {source}, found none")
    return found


class _Images(Dataset[Item]):
    def __init__(self, paths: list[Path], resize: EvalResizeRule) -> None:
        self.paths = paths
        self.resize = resize

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Item:
        pixels = read_image(self.paths[index])
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros((0, 5, 3), np.float32), np.zeros(0, bool)
        resized = self.resize(Sample(pixels, *none)).image
        (height, width), (new_height, new_width) = pixels.shape[:2], resized.shape[:2]
        target = {
            "image_id": str(self.paths[index]),
            "size": torch.tensor([height, width]),
            "scale": torch.tensor([new_width / width, new_height / height], dtype=torch.float32),
        }
        return to_tensor(resized), target


class ImageFolder(pl.LightningDataModule):
    """
    Args:
        source: an image, or a folder searched at any depth.
        eval_resize: the protocol's rule.
        limit: only the first so many.
    """

    def __init__(
        self,
        source: str | Path,
        eval_resize: EvalResizeRule,
        batch_size: int = 4,
        num_workers: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        self.paths = find_images(Path(source).expanduser())[:limit]
        self.eval_resize = eval_resize
        self.batch_size = batch_size
        self.num_workers = num_workers

    def predict_dataloader(self) -> DataLoader[Any]:
        """Ragged batches whose targets hold `image_id` (the path), `size` and `scale`."""
        return DataLoader(
            _Images(self.paths, self.eval_resize),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate_ragged,
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.predict_dataloader())
