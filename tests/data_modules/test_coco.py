"""The data module of COCO's layout: labels, crowds, images without objects, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_modules import Coco
from data_modules.coco.categories import COCO_CLASSES, COCO_IDS, COCO_LABELS
from data_modules.errors import DataError
from data_modules.labels.coco_objects import read_objects
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation

CATEGORIES = [{"id": 5, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 9, "name": "bird"}]
ANNOTATIONS = [
    {"id": 11, "image_id": 70, "category_id": 5, "bbox": [10, 20, 30, 40.5], "iscrowd": 0, "area": 900.0},
    {"id": 12, "image_id": 70, "category_id": 2, "bbox": [50, 10, 20, 20], "iscrowd": 1},
    {"id": 13, "image_id": 3, "category_id": 9, "bbox": [0, 0, 96, 12]},
    {"id": 14, "image_id": 3, "category_id": 9, "bbox": [4, 4, 5, 0]},
]
Build = Callable[..., Coco]


def document(**changes: Any) -> dict[str, Any]:
    images = [{"id": image_id, "file_name": f"{image_id:012d}.png"} for image_id in (70, 3, 41)]
    return {"images": images, "annotations": ANNOTATIONS, "categories": CATEGORIES} | changes


@pytest.fixture
def root(tmp_path: Path, coco_set: Callable[..., Path]) -> Path:
    """Three images of 96 x 80 in each split, image 41 without objects."""
    return coco_set(tmp_path / "coco", document(), document())


@pytest.fixture
def coco(root: Path) -> Build:
    def build(**overrides: Any) -> Coco:
        arguments: dict[str, Any] = {
            "root": root,
            "train_transform": SquareCropAugmentation(64),
            "eval_resize": ResizeLongSide(48),
            "batch_size": 3,
            "num_workers": 0,
        }
        return Coco(**(arguments | overrides))

    return build


def test_the_80_labels_and_the_91_ids() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == len(COCO_IDS) == len(COCO_LABELS) == 80
    assert sorted(set(range(1, 91)) - set(COCO_IDS)) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert [COCO_LABELS[category] for category in COCO_IDS] == list(range(80))
    pairs = {"person": (0, 1), "fire hydrant": (10, 11), "stop sign": (11, 13), "backpack": (24, 27)}
    pairs |= {"dining table": (60, 67), "toilet": (61, 70), "book": (73, 84), "toothbrush": (79, 90)}
    for name, (label, category) in pairs.items():
        assert (COCO_CLASSES.index(name), COCO_IDS[label], COCO_LABELS[category]) == (label, category, label)


def test_eval_batches(coco: Build) -> None:
    module = coco()
    module.setup("validate")
    assert (module.name, module.num_classes, module.class_names) == ("coco", 3, ("dog", "cat", "bird"))
    (batch,) = module.val_dataloader()
    first, second, third = batch["targets"]
    assert [target["image_id"] for target in batch["targets"]] == [70, 3, 41]
    assert first["boxes"].tolist() == [[5, 10, 20, 30.25], [25, 5, 35, 15]]
    assert first["labels"].tolist() == [1, 0]  # in the order of the ids
    assert first["ignore"].tolist() == [False, True]  # a crowd
    assert second["ignore"].tolist() == [False, True]  # no height
    assert (first["size"].tolist(), first["scale"].tolist()) == ([80, 96], [0.5, 0.5])
    for target, count in ((first, 2), (second, 2), (third, 0)):
        assert (target["boxes"].dtype, target["boxes"].shape) == (torch.float32, (count, 4))
        assert (target["labels"].dtype, target["labels"].shape) == (torch.int64, (count,))
        assert (target["keypoints"].shape, target["keypoints"].any().item()) == ((count, 5, 3), False)
        assert (target["ignore"].dtype, target["ignore"].shape) == (torch.bool, (count,))


def test_images_without_objects_are_trained_on(coco: Build) -> None:
    module = coco(classes=["bird"], batch_size=2)
    assert module.summary("train")["images"] == 3
    loader = module.train_dataloader()
    seen: dict[int, int] = {}
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for batch in loader:
            assert batch["images"].shape == (2, 3, 64, 64)
            seen |= {target["image_id"]: len(target["boxes"]) for target in batch["targets"]}
    assert (seen[70], seen[41]) == (0, 0)
    assert seen[3] > 0


def test_classes_choose_and_order_labels(coco: Build) -> None:
    module = coco(classes=["bird", "dog"])
    module.setup("fit")
    assert module.class_names == ("bird", "dog")
    assert [image.labels.tolist() for image in module.files.annotated("val")] == [[1], [0, 0], []]
    assert module.truth()["coco"]["classes"] == ("bird", "dog")
    assert module.summary("val")["annotation_hash"] != coco().summary("val")["annotation_hash"]
    with pytest.raises(DataError, match="`cow`"):
        coco(classes=["cow"]).setup("fit")
    with pytest.raises(DataError, match="each once"):
        coco(classes=["dog", "dog"]).setup("fit")


def test_limits_and_truth(coco: Build, root: Path) -> None:
    path = root / "annotations" / "instances_val2017.json"
    module = coco()
    truth = module.truth()
    assert truth.keys() == {"targets", "coco"}
    assert truth["coco"] == {"annotations": path, "images": None, "classes": None}
    assert truth["targets"]() == module.files.annotated("val")
    limited = coco(val_images=2)
    assert limited.truth()["coco"]["images"] == [70, 3]
    assert limited.summary("val")["images"] == 2
    assert len(limited.val_dataloader().dataset) == 2


def test_predictions_need_no_root(coco: Build, root: Path) -> None:
    path = root / "annotations" / "instances_train2017.json"
    module = coco(root=None, annotations=path)
    assert module.truth()["coco"]["annotations"] == path
    assert (module.summary("val")["images"], module.summary("val")["image_hash"]) == (3, None)
    for use in (module.val_dataloader, module.train_dataloader, lambda: coco(root=None).truth()):
        with pytest.raises(DataError, match=r"data\.root=DIR"):
            use()


@pytest.mark.parametrize("use", [lambda module: module.setup("fit"), lambda module: module.summary("val")])
def test_missing_root(coco: Build, tmp_path: Path, use: Callable[[Coco], Any]) -> None:
    with pytest.raises(DataError, match=r"dataset in .*nowhere.*data\.root=DIR.*instances_\{train,val\}2017\.json"):
        use(coco(root=tmp_path / "nowhere"))


def test_the_number_of_classes_is_checked(coco: Build) -> None:
    coco(num_classes=3).setup("fit")
    with pytest.raises(DataError, match=r"expected 80 classes, found 3; set data\.num_classes=3"):
        coco(num_classes=80).setup("validate")
    assert coco(num_classes=80).summary("val")["images"] == 3  # predictions alone build no detector


def test_splits_must_agree(coco: Build, root: Path) -> None:
    others = [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 9, "name": "bird"}]
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(document(categories=others)))
    coco().setup("validate")
    with pytest.raises(DataError, match=r"instances_train2017\.json: expected the categories of"):
        coco().setup("fit")


GOOD = ANNOTATIONS[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [GOOD | {"bbox": [1, 2, -3, 4]}]}, "annotation 11: .* width and a height of 0 or more"),
        ({"annotations": [GOOD | {"bbox": [1, 2, float("nan"), 4]}]}, "annotation 11: .* four finite numbers"),
        ({"annotations": [GOOD | {"bbox": [1, 2, 3]}]}, "annotation 11: .* four finite numbers"),
        ({"annotations": [GOOD | {"bbox": [1, 2, "a", 4]}]}, "annotation 11: .* four finite numbers"),
        ({"annotations": [GOOD | {"image_id": 71}]}, "annotation 11: .* image_id .* found 71"),
        ({"annotations": [GOOD | {"category_id": 6}]}, "annotation 11: .* category_id .* found 6"),
        ({"annotations": [GOOD | {"iscrowd": "no"}]}, "annotation 11: expected iscrowd 0 or 1, found 'no'"),
        ({"annotations": [GOOD | {"area": "900"}]}, "annotation 11: expected a finite area, found '900'"),
        ({"annotations": [GOOD | {"bbox": [1, 2, 10**400, 4]}]}, "annotation 11: .* four finite numbers"),
        ({"images": [{"id": 70}, {"id": 3}]}, "image 70: expected a `file_name`, found None"),
        ({"annotations": [GOOD, GOOD]}, "every id of `annotations` once, found 11 again at entry 1"),
        ({"annotations": [{"id": 11}]}, "entry 0 of `annotations`"),
        ({"annotations": None}, "a list `annotations`, found none"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}] * 2}, "every id of `images` once, found 1 again"),
        ({"images": [{"id": "1", "file_name": "a.jpg"}]}, "whole numbers as ids in entry 0 of `images`"),
        ({"images": []}, "a list `images`, found none"),
        ({"categories": [*CATEGORIES, {"id": 5, "name": "cow"}]}, "every id of `categories` once"),
        ({"categories": [*CATEGORIES, {"id": 6, "name": "cat"}]}, "every name of `categories` once"),
    ],
)
def test_malformed_annotations(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document(**changes)))
    with pytest.raises(DataError, match=rf"bad\.json.*{message}"):
        read_objects(path)


@pytest.mark.parametrize("content", ["", "{", "[]", b"\xff\xfe\x00".decode("latin-1")])
def test_no_annotation_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"bad\.json: expected"):
        read_objects(tmp_path / "bad.json")
    with pytest.raises(DataError, match=r"nowhere\.json, found none; the official layout"):
        read_objects(tmp_path / "nowhere.json")


def test_real_subset(shared: Path) -> None:
    module = Coco(
        shared / "data" / "coco", SquareCropAugmentation(64), ResizeLongSide(64), num_classes=80, num_workers=0
    )
    module.setup("fit")
    assert module.class_names == COCO_CLASSES
    assert module.files._file("val").category_ids == COCO_IDS
    val = module.files.annotated("val")
    document = json.loads((shared / "data" / "coco" / "annotations" / "instances_val2017.json").read_text())
    assert (len(val), sum(len(image.boxes) for image in val)) == (158, 1424)
    assert sum(int(image.ignore.sum()) for image in val) == 16
    assert set(np.concatenate([image.labels for image in val])) == set(range(80))
    assert len(module.files.annotated("train")) == 80
    one = next(image for image in val if len(image.boxes) > 3)
    rows = [row for row in document["annotations"] if row["image_id"] == one.image_id]
    assert [COCO_IDS[label] for label in one.labels] == [row["category_id"] for row in rows]
    expected = [[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in rows)]
    np.testing.assert_allclose(one.boxes, expected, rtol=1e-6)
    batch = next(iter(module.train_dataloader()))
    assert batch["images"].shape == (8, 3, 64, 64)
    ragged = next(iter(module.val_dataloader()))
    assert all(image.shape[1:] == tuple((target["size"] * target["scale"].flip(0)).round().int().tolist())
               for image, target in zip(ragged["images"], ragged["targets"], strict=True))  # fmt: skip
