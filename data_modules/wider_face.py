"""WIDER FACE (Yang et al., CVPR 2016, arXiv 1511.06523) in its official layout, from http://shuoyang1213.me/WIDERFACE/.

- root/WIDER_{train,val}/images/<event>/<name>.jpg
- root/wider_face_split/wider_face_{train,val}_bbx_gt.txt and wider_face_{train,val}.mat
- root/wider_face_split/wider_face_{train,val}_landmarks.txt: optional, the RetinaFace form
- root/eval_tools/ground_truth/wider_{face,easy,medium,hard}_val.mat
"""

import logging
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from data_modules.annotations import LAYOUT, FaceImage, annotation_hash, read_text, with_landmarks
from data_modules.annotations_mat import read_mat
from data_modules.cache import DecodedCache
from data_modules.collate import collate_ragged, collate_stacked
from data_modules.dataset import EvalFaces, EvalResizeRule, TrainFaces, TrainTransformRule
from data_modules.errors import DataError
from data_modules.landmarks import read_landmarks
from data_modules.loader import ResumableLoader, prepare_worker
from data_modules.sampling import EpochSampler

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
log = logging.getLogger(__name__)


class WiderFace(pl.LightningDataModule):
    """Training and validation faces. Only iterating a loader opens images; everything else reads annotations.

    Args:
        root: the folder of the layout above.
        images: "listed": those of the text files. "all": those of the .mat files (for val, the evaluation's own).
        annotations: where boxes come from, "text" or "mat"; None follows `images`: "text" for listed, "mat" for all.
        train_transform: (Sample, numpy Generator) -> Sample of one size for all.
        eval_resize: Sample -> Sample.
        batch_size, eval_batch_size: per process. Training drops an incomplete last batch, unless it is the only one.
        num_workers: processes of each loader; batches do not depend on it.
        seed: of order and augmentation; a sample's draws depend on (seed, epoch, index) alone.
        train_images, val_images: only the first so many (smoke runs); `summary` and `ground_truth` tell.
        pin_memory: as in torch's DataLoader.
        cache: a folder to keep decoded images in (see `cache.py`), of any dataset; None decodes in every epoch.
        cache_gib: the most that folder may grow to; WIDER FACE decodes to about 2.4 MB an image, 31 GB for train.
    """

    name = "wider_face"
    num_classes = 1
    class_names = ("face",)

    def __init__(
        self,
        root: str | Path,
        train_transform: TrainTransformRule,
        eval_resize: EvalResizeRule,
        images: Literal["listed", "all"] = "listed",
        annotations: Literal["text", "mat"] | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 8,
        num_workers: int = 2,
        seed: int = 0,
        train_images: int | None = None,
        val_images: int | None = None,
        pin_memory: bool = False,
        cache: str | Path | None = None,
        cache_gib: float = 8.0,
    ) -> None:
        super().__init__()
        if images not in ("listed", "all") or annotations not in ("text", "mat", None):
            raise DataError(
                "expected images=listed or images=all and annotations=text, annotations=mat or null; "
                f"found images={images}, annotations={annotations}"
            )
        self.root = Path(root).expanduser()
        self.images = images
        self.annotation_source = annotations or ("text" if images == "listed" else "mat")
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
        self._annotations: dict[Split, list[FaceImage]] = {}

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs.

        Raises:
            DataError: a file of the layout is missing or malformed.
        """
        for split in SPLITS if stage == "fit" else ("val",):
            self.faces(split)

    def faces(self, split: Split) -> list[FaceImage]:
        """The annotated images in use, read on first request; training images without a face are left out."""
        if split not in self._annotations:
            images = self._read(split)
            if split == "train":
                with_faces = [image for image in images if len(image.boxes)]
                dropped = len(images) - len(with_faces)
                log.info("%s train: %d of %d images dropped, they have no faces", self.name, dropped, len(images))
                images = with_faces
            self._annotations[split] = images[: self.limits[split]]
        return self._annotations[split]

    def summary(self, split: Split) -> dict[str, Any]:
        """What was used, for the record: dataset, split, number of images and a hash of their annotations."""
        faces = self.faces(split)
        return {
            "name": self.name,
            "split": split,
            "images": len(faces),
            "annotation_hash": annotation_hash(faces),
        }

    @property
    def ground_truth(self) -> dict[str, Any]:
        """Keyword arguments of the evaluator: the folder of its .mat files and the image ids to restrict it to.

        Raises:
            DataError: the folder is missing.
        """
        folder = self.root / "eval_tools" / "ground_truth"
        if not folder.is_dir():
            raise DataError(f"expected the evaluation's .mat files in {folder}, found no such folder; {LAYOUT}")
        everything = self.images == "all" and self.limits["val"] is None
        return {"ground_truth": folder, "images": None if everything else [face.image_id for face in self.faces("val")]}

    def train_dataloader(self) -> ResumableLoader:
        """Stacked batches; the order and the augmentations change with the epoch."""
        dataset = TrainFaces(self._folder("train"), self.faces("train"), self.train_transform, self.seed, self._cache())
        sampler = EpochSampler(len(dataset), self.seed)
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
        dataset = EvalFaces(self._folder("val"), self.faces("val"), self.eval_resize, self._cache())
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

    def _folder(self, split: Split) -> Path:
        return self.root / f"WIDER_{split}" / "images"

    def _read(self, split: Split) -> list[FaceImage]:
        """All images of a split, faceless ones too, with landmarks where there is a file of them."""
        if not self.root.is_dir():
            raise DataError(f"expected the dataset in {self.root}, found no such folder; {LAYOUT}")
        images = self._read_boxes(split)
        landmarks = self.root / "wider_face_split" / f"wider_face_{split}_landmarks.txt"
        return with_landmarks(images, read_landmarks(landmarks), landmarks) if landmarks.is_file() else images

    def _read_boxes(self, split: Split) -> list[FaceImage]:
        """The images that `images` asks for, with the boxes of the file that `annotations` asks for."""
        folder = self.root / "wider_face_split"
        text, mat = folder / f"wider_face_{split}_bbx_gt.txt", folder / f"wider_face_{split}.mat"
        if self.images == "all" and split == "val":
            mat = self.root / "eval_tools" / "ground_truth" / "wider_face_val.mat"
        listed = read_text(text) if self.images == "listed" or self.annotation_source == "text" else []
        matlab = read_mat(mat) if self.images == "all" or self.annotation_source == "mat" else []
        wanted = listed if self.images == "listed" else matlab
        boxes_from = {image.image_id: image for image in (listed if self.annotation_source == "text" else matlab)}
        missing = [image.image_id for image in wanted if image.image_id not in boxes_from]
        if missing:
            source, other = (text, mat) if self.annotation_source == "text" else (mat, text)
            raise DataError(
                f"{source}: expected the faces of every image of {other}, found none of {missing[0]} and "
                f"{len(missing) - 1} more; set annotations to null or fetch the whole file"
            )
        return [boxes_from[image.image_id] for image in wanted]
