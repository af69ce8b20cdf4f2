"""WIDER FACE (Yang et al., CVPR 2016, arXiv 1511.06523) in its official layout, from http://shuoyang1213.me/WIDERFACE/.

- root/WIDER_{train,val}/images/<event>/<name>.jpg
- root/wider_face_split/wider_face_{train,val}_bbx_gt.txt and wider_face_{train,val}.mat
- root/wider_face_split/wider_face_{train,val}_landmarks.txt: optional, the RetinaFace form
- root/eval_tools/ground_truth/wider_{face,easy,medium,hard}_val.mat
"""

import logging
from pathlib import Path
from typing import Any, Literal

from data_modules.errors import DataError
from data_modules.labels.faces import (
    FaceImage,
    faces_of_labels,
    faces_of_tables,
    faces_of_text,
    landmarks_of,
    with_landmarks,
)
from data_modules.labels.lines import LAYOUT
from data_modules.labels.retinaface_text import read_retinaface_text
from data_modules.labels.wider_mat import read_tables
from data_modules.labels.wider_text import read_wider_text
from data_modules.loading.files import DatasetFiles, Split, of_release
from data_modules.verify.content import SplitContent
from data_modules.verify.wider import wider_content

log = logging.getLogger(__name__)


class WiderFaceFiles(DatasetFiles):
    """Training and validation faces.

    Args:
        root: the folder of the layout above.
        images: "listed": those of the text files. "all": those of the .mat files (for val, the evaluation's own).
        annotations: where boxes come from, "text", "mat" or "retinaface"; None follows `images`: "text" for listed,
            "mat" for all.
        landmark_file, val_landmark_file: RetinaFace label files of train and val, for annotations="retinaface": boxes
            and landmarks; val without one takes the boxes of the text file.
        label_boxes: what the four numbers of a box in them are: "corners" x1 y1 x2 y2, or "sizes" x y w h, as in
            RetinaFace's own release 1.1.
        options: what `DatasetFiles` takes.
    """

    name = "wider_face"
    class_names = ("face",)

    def __init__(
        self,
        root: str | Path,
        images: Literal["listed", "all"] = "listed",
        annotations: Literal["text", "mat", "retinaface"] | None = None,
        landmark_file: str | Path | None = None,
        val_landmark_file: str | Path | None = None,
        label_boxes: Literal["corners", "sizes"] = "corners",
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        if images not in ("listed", "all") or annotations not in ("text", "mat", "retinaface", None):
            raise DataError(
                "expected images=listed or images=all and annotations=text, mat, retinaface or null; "
                f"found images={images}, annotations={annotations}"
            )
        if label_boxes not in ("corners", "sizes") or (annotations == "retinaface") != (landmark_file is not None):
            raise DataError(
                "expected data.landmark_file=FILE with annotations=retinaface, and label_boxes to be corners or sizes; "
                f"found landmark_file={landmark_file}, annotations={annotations}, label_boxes={label_boxes}"
            )
        self.root: Path = Path(root).expanduser()
        given = {"train": landmark_file, "held_out": landmark_file, "val": val_landmark_file}
        self.landmark_files = {split: Path(path).expanduser() if path else None for split, path in given.items()}
        self.label_boxes = label_boxes
        self.images = images
        self.annotation_source = annotations or ("text" if images == "listed" else "mat")
        self._annotations: dict[str, list[FaceImage]] = {}

    def annotated(self, split: Split) -> list[FaceImage]:
        """The annotated images in use, read on first request; training images without a face are left out."""
        released = of_release(split)
        if released not in self._annotations:
            images = self._read(split)
            if released == "train":
                with_faces = [image for image in images if len(image.boxes)]
                dropped = len(images) - len(with_faces)
                log.info("%s train: %d of %d images dropped, they have no faces", self.name, dropped, len(images))
                images = with_faces
            self._annotations[released] = images
        return self.limited(self._annotations[released], split)

    def truth(self, split: Split | None = None) -> dict[str, Any]:
        """Of val the folder of the evaluation's .mat files and the images to restrict it to; of other splits the faces
        as arrays, all of them counted but those flagged ignore.

        Raises:
            DataError: the folder is missing.
        """
        wanted = split or self.split
        return {**super().truth(wanted), "wider_face": self._official() if wanted == "val" else self._arrays(wanted)}

    def _official(self) -> dict[str, Any]:
        folder = self.root / "eval_tools" / "ground_truth"
        if not folder.is_dir():
            raise DataError(f"expected the evaluation's .mat files in {folder}, found no such folder; {LAYOUT}")
        everything = self.images == "all" and self.limits["val"] is None
        return {"folder": folder, "images": None if everything else [face.image_id for face in self.annotated("val")]}

    def _arrays(self, split: Split) -> dict[str, Any]:
        faces = self.annotated(split)
        return {
            "image_ids": [face.image_id for face in faces],
            "boxes": [face.boxes for face in faces],
            "counted": {"all": [~face.ignore for face in faces]},
        }

    def verification(self, split: Split) -> SplitContent:
        self._read(split)  # refuses what training or evaluation would refuse
        labels = self.landmark_files[split]
        return wider_content(self.root, split, self.images, labels, self.label_boxes == "sizes")

    def folder(self, split: Split) -> Path:
        return self.root / f"WIDER_{of_release(split)}" / "images"

    def sources(self, split: Split) -> tuple[list[Path], dict[str, Any]]:
        self._check_root()
        folder, released = self.root / "wider_face_split", of_release(split)
        files = [folder / f"wider_face_{released}{ending}" for ending in ("_bbx_gt.txt", ".mat", "_landmarks.txt")]
        files += [self.root / "eval_tools" / "ground_truth" / "wider_face_val.mat"] if released == "val" else []
        labels = self.landmark_files[split]
        files += [labels] if labels else []
        return files, {"images": self.images, "annotations": self.annotation_source, "label_boxes": self.label_boxes}

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise DataError(f"expected the dataset in {self.root}, found no such folder; set data.root=DIR, {LAYOUT}")

    def _read(self, split: Split) -> list[FaceImage]:
        """All images of a split, faceless ones too, with landmarks where there is a file of them."""
        self._check_root()
        labels = self.landmark_files[split]
        if self.annotation_source == "retinaface" and labels:
            return self._read_labels(split, labels)
        images = self._read_boxes(split)
        landmarks = self.root / "wider_face_split" / f"wider_face_{of_release(split)}_landmarks.txt"
        if not landmarks.is_file():
            return images
        return with_landmarks(images, landmarks_of(read_retinaface_text(landmarks)), landmarks)

    def _read_labels(self, split: Split, path: Path) -> list[FaceImage]:
        """The images of a label file; of these, where the text file is there, those that it lists."""
        sizes = self.label_boxes == "sizes"
        labelled = faces_of_labels(path, read_retinaface_text(path, sizes), sizes)
        text = self.root / "wider_face_split" / f"wider_face_{of_release(split)}_bbx_gt.txt"
        if self.images == "all" or not text.is_file():
            return labelled
        listed = {image.image_id for image in faces_of_text(read_wider_text(text))}
        kept = [image for image in labelled if image.image_id in listed]
        if not kept:
            raise DataError(f"{path}: expected images that {text} lists, found none of them among {len(labelled)}")
        log.info(
            "%s %s: %d of the %d images of %s are listed in %s", self.name, split, len(kept), len(labelled), path, text
        )
        return kept

    def _read_boxes(self, split: Split) -> list[FaceImage]:
        """The images that `images` asks for, with the boxes of the file that `annotations` asks for."""
        folder, released = self.root / "wider_face_split", of_release(split)
        text, mat = folder / f"wider_face_{released}_bbx_gt.txt", folder / f"wider_face_{released}.mat"
        if self.images == "all" and split == "val":
            mat = self.root / "eval_tools" / "ground_truth" / "wider_face_val.mat"
        boxes_of = self.annotation_source
        if boxes_of == "retinaface":  # a split without a label file
            boxes_of = "text" if self.images == "listed" else "mat"
        listed = faces_of_text(read_wider_text(text)) if self.images == "listed" or boxes_of == "text" else []
        matlab = read_faces(mat) if self.images == "all" or boxes_of == "mat" else []
        wanted = listed if self.images == "listed" else matlab
        boxes_from = {image.image_id: image for image in (listed if boxes_of == "text" else matlab)}
        missing = [image.image_id for image in wanted if image.image_id not in boxes_from]
        if missing:
            source, other = (text, mat) if boxes_of == "text" else (mat, text)
            raise DataError(
                f"{source}: expected the faces of every image of {other}, found none of {missing[0]} and "
                f"{len(missing) - 1} more; set annotations to null or fetch the whole file"
            )
        return [boxes_from[image.image_id] for image in wanted]


def read_faces(path: Path) -> list[FaceImage]:
    """The faces of a `wider_face_{split}.mat`: boxes, and which of them are invalid."""
    return faces_of_tables(path, read_tables(path, ["invalid"]))
