"""Which images belong to train, val and held_out, and the evaluation of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.metrics.coco import CocoAP
from bench.metrics.evaluator import Evaluator
from bench.metrics.wider_face import WiderFaceAP
from data_modules import Coco, WiderFace
from data_modules.errors import DataError
from data_modules.loading.data_module import DetectionData
from data_modules.loading.files import DatasetFiles
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation

RULES = {"train_transform": SquareCropAugmentation(64), "eval_resize": ResizeLongSide(48)}
# Seven images to train on, one of them without a face: a face of 20 x 24 and one ignored each.
TRAIN = {f"2--Work/c_{number}.jpg": [(10 + number, 12, 20, 24, 0), (60, 40, 12, 12, 1)] for number in range(6)}
TRAIN = {"2--Work/none.jpg": [], **TRAIN}


def coco_document(ids: range) -> dict[str, Any]:
    """An object and a crowd in each image, but for the last one, which is empty."""
    rows = [(image, [10, 12, 20, 24], 0) for image in ids[:-1]] + [(image, [60, 40, 12, 12], 1) for image in ids[:-1]]
    return {
        "images": [{"id": image, "file_name": f"{image}.png"} for image in ids],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 5, "bbox": box, "iscrowd": crowd}
            for number, (image, box, crowd) in enumerate(rows, 1)
        ],
        "categories": [{"id": 5, "name": "thing"}],
    }


@pytest.fixture
def wider(tmp_path: Path, wider_set: Callable[..., None]) -> Callable[..., WiderFace]:
    wider_set(tmp_path / "wider", train=TRAIN)
    options = {"root": tmp_path / "wider", "num_workers": 0, "batch_size": 2} | RULES
    return lambda **more: WiderFace(**(options | more))


@pytest.fixture
def coco(tmp_path: Path, coco_set: Callable[..., Path]) -> Callable[..., Coco]:
    coco_set(tmp_path / "coco", coco_document(range(1, 7)), coco_document(range(11, 13)))
    options = {"root": tmp_path / "coco", "num_workers": 0, "batch_size": 2} | RULES
    return lambda **more: Coco(**(options | more))


@pytest.fixture(params=["wider", "coco"])
def build(request: pytest.FixtureRequest) -> Callable[..., DetectionData]:
    """Data modules of either layout over six training images."""
    found: Callable[..., DetectionData] = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("images", "held_out"), [(10, 1), (10, 3), (10, 9), (7, 5), (2, 1), (12_880, 500), (12_880, 7)]
)
def test_what_is_held_out(images: int, held_out: int) -> None:
    """Together all images, none in both, in their order; the next one held out is as far off, give or take one."""
    everything = list(range(images))
    module = DatasetFiles(None, name="numbers", held_out=held_out)
    train, held = module.limited(everything, "train"), module.limited(everything, "held_out")
    assert len(held) == held_out
    assert sorted(train + held) == everything
    assert (train, held) == (sorted(train), sorted(held))
    gaps = np.diff([*held, images + held[0]])
    assert gaps.max() - gaps.min() <= 1
    again = DatasetFiles(None, "numbers", "held_out", held_out)
    assert again.limited(everything, "held_out") == held
    assert module.limited(everything, "val") == everything


def test_limits_leave_what_is_held_out_alone() -> None:
    module = DatasetFiles(None, name="numbers", held_out=2, train_images=3, val_images=1)
    everything = list(range(10))
    assert module.limited(everything, "held_out") == [0, 5]
    assert module.limited(everything, "train") == [1, 2, 3]
    assert module.limited(everything, "val") == [0]


def test_train_and_held_out_are_apart(build: Callable[..., DetectionData]) -> None:
    module = build(held_out=2, split="held_out")
    module.setup("fit")
    train: Any = module.train_dataloader()
    held: Any = module.val_dataloader()
    trained = {image.image_id for image in train.dataset.images}
    seen = [target["image_id"] for batch in held for target in batch["targets"]]
    assert seen == [image.image_id for image in module.files.annotated("held_out")]
    assert (len(trained), len(seen), trained & set(seen)) == (4, 2, set())
    assert trained | set(seen) == {image.image_id for image in build().files.annotated("train")}
    summaries = {split: module.summary(split) for split in ("train", "held_out", "val")}
    assert {split: summary["images"] for split, summary in summaries.items()} == {"train": 4, "held_out": 2, "val": 2}
    assert all(summary["split"] == split for split, summary in summaries.items())
    assert summaries["val"] == build().summary("val")


def test_an_evaluation_of_train_needs_no_files_of_val(build: Callable[..., DetectionData], tmp_path: Path) -> None:
    for path in tmp_path.rglob("*val*"):
        if path.is_file():
            path.unlink()
    for options in ({"split": "train"}, {"split": "held_out", "held_out": 2}):
        module = build(num_classes=1, **options)
        for stage in ("fit", "validate"):
            module.setup(stage)
        assert len(list(module.val_dataloader())) > 0
    with pytest.raises(DataError, match="val"):
        build().setup("validate")


def predictions(targets: list[Mapping[str, Any]], wrong: int) -> list[dict[str, torch.Tensor]]:
    """Every object that counts found where it is, but for those of the first `wrong` images."""
    found = []
    for number, target in enumerate(targets):
        boxes = (target["boxes"] / target["scale"].repeat(2))[~target["ignore"]]
        boxes = boxes + 1000 if number < wrong else boxes
        labels = target["labels"][~target["ignore"]]
        found.append({"boxes": boxes, "scores": torch.full((len(boxes),), 0.9), "labels": labels})
    return found


def evaluate(evaluator: Evaluator, module: DetectionData, wrong: int = 0) -> dict[str, float]:
    targets = [target for batch in module.val_dataloader() for target in batch["targets"]]
    assert [target["image_id"] for target in targets] == list(evaluator.image_ids)
    evaluator.update(predictions(targets, wrong), targets)
    return evaluator.compute()


SPLITS = [({"split": "train"}, 6), ({"split": "train", "held_out": 2}, 4), ({"split": "held_out", "held_out": 2}, 2)]


@pytest.mark.parametrize(("options", "images"), [*SPLITS, ({"split": "train", "train_images": 3}, 3)])
def test_evaluation_of_training_faces(wider: Callable[..., WiderFace], options: dict[str, Any], images: int) -> None:
    module = wider(**options)
    truth = module.truth()
    assert truth["targets"]() == module.files.annotated(options["split"])
    arrays = truth["wider_face"]
    assert len(arrays["image_ids"]) == len(arrays["boxes"]) == images
    first = module.files.annotated(options["split"])[0]
    assert arrays["image_ids"][0] == first.image_id
    np.testing.assert_array_equal(arrays["boxes"][0], first.boxes)
    assert [mask.tolist() for mask in arrays["counted"]["all"]] == [[True, False]] * images
    assert evaluate(WiderFaceAP(truth), module) == {"AP_all": pytest.approx(1.0)}
    assert 0 < evaluate(WiderFaceAP(truth), module, wrong=1)["AP_all"] < 1


@pytest.mark.parametrize(("options", "images"), [*SPLITS, ({"split": "train", "train_images": 3}, 3)])
def test_evaluation_of_training_objects(coco: Callable[..., Coco], options: dict[str, Any], images: int) -> None:
    module = coco(**options)
    truth = module.truth()
    assert truth["targets"]() == module.files.annotated(options["split"])
    named = truth["coco"]["images"]
    assert named == (
        None if options == {"split": "train"} else [i.image_id for i in module.files.annotated(module.split)]
    )
    assert truth["coco"]["annotations"].name == "instances_train2017.json"
    evaluator = CocoAP(truth)
    assert len(evaluator.image_ids) == images
    assert evaluate(evaluator, module)["AP"] == pytest.approx(1.0)
    assert 0 < evaluate(CocoAP(truth), module, wrong=1)["AP"] < 1


def test_evaluation_of_val_faces(wider: Callable[..., WiderFace]) -> None:
    module = wider(held_out=2)
    found = evaluate(WiderFaceAP(module.truth()), module)
    assert found == {f"AP_{setting}": pytest.approx(1.0) for setting in ("easy", "medium", "hard")}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"split": "held_out"}, "split=held_out, held_out=0"),
        ({"split": "held_out", "held_out": -1}, "split=held_out, held_out=-1"),
        ({"held_out": -1}, "split=val, held_out=-1"),
        ({"held_out": 0.1}, r"split=val, held_out=0\.1"),
        ({"split": "test"}, "split=test, held_out=0"),
        ({"split": None}, "split=None, held_out=0"),
    ],
)
def test_what_is_no_split(build: Callable[..., DetectionData], options: dict[str, Any], found: str) -> None:
    with pytest.raises(DataError, match=rf"held_out with a number of images in data\.held_out; found {found}$"):
        build(**options)


def test_nothing_is_held_out_unless_asked(build: Callable[..., DetectionData]) -> None:
    for use in (build().summary, build().truth, build().files.annotated):
        with pytest.raises(DataError, match="found split=held_out, held_out=0"):
            list(use("held_out"))


@pytest.mark.parametrize("held_out", [6, 100])
def test_something_is_left_to_train_on(build: Callable[..., DetectionData], held_out: int) -> None:
    module = build(held_out=held_out)
    with pytest.raises(DataError, match=rf"expected data\.held_out below the 6 training images, found {held_out}"):
        module.setup("fit")
    assert module.summary("val")["images"] == 2  # which it does not concern


def test_training_needs_an_augmentation(build: Callable[..., DetectionData]) -> None:
    module = build(train_transform=None)
    module.setup("fit")
    assert len(list(module.val_dataloader())) == 1
    with pytest.raises(DataError, match=r"expected an augmentation .*detector\.augmentation=null"):
        module.train_dataloader()


def test_names(build: Callable[..., DetectionData]) -> None:
    assert build(name="mine").summary("train") == build().summary("train") | {"name": "mine"}
