"""What `bench data verify` checks in WIDER FACE's layout.

The text file and the MATLAB files hold the same ten numbers a face, so that each tells an edit of the other; a MATLAB
file may hold more images than the text lists (a part of the dataset).
"""

from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.labels.faces import refuse_negative_sizes
from data_modules.labels.records import OFFICIAL_NEGATIVE_SIZES, FaceRecord, ImageRecord
from data_modules.labels.retinaface_text import read_retinaface_text
from data_modules.labels.wider_mat import Table, read_tables, without_zero_face
from data_modules.labels.wider_text import read_wider_records
from data_modules.verify.content import Finding, SplitContent, VerificationItem


def wider_content(root: Path, split: str, images: str, labels: Path | None, sizes: bool) -> SplitContent:
    """What a split is checked for; `images` as in `WiderFaceFiles`, `labels` a RetinaFace file, `sizes` its boxes."""
    split_folder = root / "wider_face_split"
    text = split_folder / f"wider_face_{split}_bbx_gt.txt"
    matlab = [split_folder / f"wider_face_{split}.mat"]
    ground_truth = root / "eval_tools" / "ground_truth"
    if split == "val":
        matlab.append(ground_truth / "wider_face_val.mat")
    tables = {path: _tables(path) for path in matlab if path.is_file()}
    if images == "listed" and text.is_file():
        records = read_wider_records(text)
    elif images == "all":
        records = [_record(name, table) for name, table in next(reversed(tables.values())).items()]
    else:
        records = read_retinaface_text(labels or text, sizes)
    content = SplitContent([], root / f"WIDER_{split}" / "images", {})
    for path, tables_of in tables.items():
        content.problems += _differences(path, tables_of, records, text.name if images == "listed" else "")
    content.items = [_item(record, content.folder, tables) for record in records]
    files = [text, *tables, split_folder / f"wider_face_{split}_landmarks.txt"]
    files += [ground_truth / f"wider_{setting}_val.mat" for setting in ("easy", "medium", "hard") if split == "val"]
    content.files = {path.relative_to(root).as_posix(): path for path in files if path.is_file()}
    content.facts = {f"images_of_{_short(path, root)}": len(table) for path, table in tables.items()}
    content.facts["faces_invalid"] = sum(face.invalid for record in records for face in record.faces)
    content.oddities += [
        Finding("negative width or height", record.path, "one of the three of the official release")
        for record in records
        if record.path in OFFICIAL_NEGATIVE_SIZES
    ]
    return content


def _tables(path: Path) -> dict[str, Table]:
    """Image path -> the ten numbers of its faces, without the lone face of zeros that stands for none.

    Raises:
        DataError: what training or evaluation would refuse.
    """
    tables = read_tables(path)
    refuse_negative_sizes(path, tables)
    return {name: without_zero_face(table) for name, table in tables.items()}


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
