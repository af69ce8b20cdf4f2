"""Hashes of the real subset are those that are published, to the last bit: a parser may not change what is read."""

from pathlib import Path
from typing import Any

import pytest

from bench.metrics.coco_ground_truth import read_coco_ground_truth
from bench.metrics.wider_ground_truth import ground_truth_of, read_wider_ground_truth
from bench.records.record import read_records
from data_modules.coco.files import CocoFiles
from data_modules.wider_face.files import WiderFaceFiles

RESULTS = Path(__file__).resolve().parents[3] / "results"
LISTED = {"train": "9886db375ec91d56", "val": "f06a1fa0e4bff425"}
ALL = {"train": "41e19562e3f5f60a", "val": "b5ef03a7d665d210"}  # of the .mat files: 12,880 and 3,226 images
COCO = {"train": "57a6bce6b38c26f2", "val": "e329e90151151e46"}
DOGS_AND_PEOPLE = {"train": "7f21f5f09ee71ff5", "val": "65e54545cff1e254"}
COCO_TRUTH = {"train": "6e674e291b9a9b84", "val": "6b0b70fa56c239e1"}


@pytest.mark.parametrize("split", ["train", "val"])
def test_annotations(shared: Path, split: Any) -> None:
    root = shared / "data" / "wider_face"
    choices: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"annotations": "text"}, LISTED), ({"annotations": "mat"}, LISTED), ({"images": "all"}, ALL)
    ]  # fmt: skip
    for options, expected in choices:
        assert WiderFaceFiles(root, **options).summary(split)["annotation_hash"] == expected[split]
    for classes, expected in ((None, COCO), (("dog", "person"), DOGS_AND_PEOPLE)):
        files = CocoFiles(shared / "data" / "coco", classes=classes)
        assert files.summary(split)["annotation_hash"] == expected[split]


def test_truths(shared: Path) -> None:
    wider = WiderFaceFiles(shared / "data" / "wider_face")
    assert read_wider_ground_truth(wider.root / "eval_tools" / "ground_truth").content_hash() == "04b3a92c57e1fe24"
    assert ground_truth_of(wider.truth("val")).content_hash() == "ca021d284ec3ef00"
    assert ground_truth_of(wider.truth("train")).content_hash() == "fc216beec5a7ad72"
    for split, expected in COCO_TRUTH.items():
        path = shared / "data" / "coco" / "annotations" / f"instances_{split}2017.json"
        assert read_coco_ground_truth(path).content_hash() == expected
    whole = read_coco_ground_truth(shared / "reference" / "instances_val2014_100.json")
    assert whole.content_hash() == "b2b5287c0bbd06b9"


def test_published_records_have_them() -> None:
    records = [record for record in read_records(RESULTS) if record.dataset.name == "wider_face"]
    evaluated = {record.dataset.images: record.dataset.annotation_hash for record in records}
    assert evaluated == {394: "ca021d284ec3ef00", 3226: "04b3a92c57e1fe24"}
    trained = {record.train_data["annotation_hash"] for record in records if record.train_data is not None}
    assert LISTED["train"] in trained
