"""What `bench data verify` checks in WIDER FACE's layout.

The text file and the MATLAB files hold the same ten numbers a face, so that each tells an edit of the other; a MATLAB
file may hold more images than the text lists (a part of the dataset).
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from data_modules.annotations import OFFICIAL_NEGATIVE_SIZES
from data_modules.annotations_mat import read_mat, word
from data_modules.face_records import ATTRIBUTES, FaceRecord, ImageRecord, read_retinaface, read_wider
from data_modules.verify import Finding, SplitContent, Verifiable, VerificationItem

Table = NDArray[np.float64]  # [N, 10] x y w h and the six attributes


class WiderVerification(Verifiable):
    """For data modules of WIDER FACE's layout."""

    images: str
    landmark_files: dict[str, Path | None]
    label_boxes: str

    def _read(self, split: Any) -> list[Any]:
        raise NotImplementedError

    def verification(self, split: str) -> SplitContent:
        self._read(split)  # refuses what training or evaluation would refuse
        split_folder = self.root / "wider_face_split"
        text = split_folder / f"wider_face_{split}_bbx_gt.txt"
        matlab = [split_folder / f"wider_face_{split}.mat"]
        ground_truth = self.root / "eval_tools" / "ground_truth"
        if split == "val":
            matlab.append(ground_truth / "wider_face_val.mat")
        tables = {path: read_tables(path) for path in matlab if path.is_file()}
        if self.images == "listed" and text.is_file():
            records = read_wider(text)
        elif self.images == "all":
            records = [_record(name, table) for name, table in next(reversed(tables.values())).items()]
        else:
            records = read_retinaface(self.landmark_files[split] or text, self.label_boxes == "sizes")
        content = SplitContent([], self.root / f"WIDER_{split}" / "images", {})
        for path, tables_of in tables.items():
            content.problems += _differences(path, tables_of, records, text.name if self.images == "listed" else "")
        content.items = [_item(record, content.folder, tables) for record in records]
        files = [text, *tables, split_folder / f"wider_face_{split}_landmarks.txt"]
        files += [ground_truth / f"wider_{setting}_val.mat" for setting in ("easy", "medium", "hard") if split == "val"]
        content.files = {path.relative_to(self.root).as_posix(): path for path in files if path.is_file()}
        content.facts = {f"images_of_{_short(path, self.root)}": len(table) for path, table in tables.items()}
        content.facts["faces_invalid"] = sum(face.invalid for record in records for face in record.faces)
        content.oddities += [
            Finding("negative width or height", record.path, "one of the three of the official release")
            for record in records
            if record.path in OFFICIAL_NEGATIVE_SIZES
        ]
        return content


def read_tables(path: Path) -> dict[str, Table]:
    """Image path -> the ten numbers of its faces from a `wider_face_{split}.mat`, NaN where it has no such list.

    Raises:
        DataError: the file is no such file.
    """
    read_mat(path)  # refuses what is malformed
    lists = [f"{name}_label_list" for name in ATTRIBUTES]
    content = scipy.io.loadmat(path, variable_names=("event_list", "file_list", "face_bbx_list", *lists))
    tables: dict[str, Table] = {}
    for at, event in enumerate(content["event_list"][:, 0]):
        for row, name in enumerate(content["file_list"][at, 0][:, 0]):
            boxes = np.asarray(content["face_bbx_list"][at, 0][row, 0], np.float64).reshape(-1, 4)
            table = np.full((len(boxes), 10), np.nan)
            table[:, :4] = boxes
            for column, key in enumerate(lists, 4):
                if key in content:  # a file may have boxes and invalid flags alone
                    table[:, column] = np.asarray(content[key][at, 0][row, 0]).reshape(-1)
            tables[f"{word(event)}/{word(name)}.jpg"] = table if boxes.any() or len(boxes) != 1 else table[:0]
    return tables


def _differences(path: Path, tables: dict[str, Table], records: list[ImageRecord], text: str) -> list[Finding]:
    """Faces of the text form that are not those of the MATLAB form; what is unknown there (NaN) agrees."""
    findings = []
    for record in records:
        table = tables.get(record.path)
        where = f"{text}, line {record.line}" if text else "the other form"
        if table is None:
            findings.append(
                Finding("annotations disagree", record.path, f"{where} lists the image, {path.name} does not")
            )
            continue
        own = _table(record)
        if len(own) != len(table):
            detail = f"{where} has {len(own)} faces, {path.name} {len(table)}"
            findings.append(Finding("annotations disagree", record.path, detail))
            continue
        differ = ~((own == table) | np.isnan(table)).all(axis=1)
        for face in np.flatnonzero(differ):
            line = f"{text}, line {record.line + 2 + face}" if text else "the other form"
            detail = f"face {face + 1}: {line} has {_numbers(own[face])}, {path.name} {_numbers(table[face])}"
            findings.append(Finding("annotations disagree", record.path, detail))
    return findings


def _table(record: ImageRecord) -> Table:
    rows = [[*map(float, face.box), *face.attributes] for face in record.faces]
    return np.array(rows, np.float64).reshape(-1, 10)


def _record(name: str, table: Table) -> ImageRecord:
    faces = []
    for row in np.nan_to_num(table):
        x, y, w, h = (Decimal(repr(float(value))) for value in row[:4])
        faces.append(FaceRecord((x, y, w, h), tuple(int(value) for value in row[4:])))
    return ImageRecord(name, tuple(faces))


def _item(record: ImageRecord, folder: Path, tables: dict[Path, dict[str, Table]]) -> VerificationItem:
    table = _table(record)
    xywh = table[:, :4]
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + np.maximum(xywh[:, 2:], 0)], axis=1)
    ignore = (table[:, 7] == 1) | (xywh[:, 2:] <= 0).any(axis=1)
    text = "\n".join(_numbers(row) for row in table)
    known = [tables_of[record.path] for tables_of in tables.values() if record.path in tables_of]
    confirmed = any(np.array_equal(other[:, :4], xywh) for other in known)
    return VerificationItem(
        record.path.rsplit(".", 1)[0], folder / record.path, boxes, ignore, text, record.size, confirmed
    )


def _numbers(row: NDArray[np.float64]) -> str:
    return " ".join("?" if np.isnan(value) else f"{value:.10g}" for value in row)


def _short(path: Path, root: Path) -> str:
    return path.stem if path.parent.name == "wider_face_split" else f"evaluation_{path.stem}"
