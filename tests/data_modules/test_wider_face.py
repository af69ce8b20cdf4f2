"""The data module: what it reads, what it yields, what it refuses."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, Dataset

from data_modules import WiderFace
from data_modules.errors import DataError
from data_modules.loading.loader import ResumableLoader
from data_modules.loading.transforms import KeepSize, ResizeLongSide, SquareCropAugmentation

Build = Callable[..., WiderFace]


def assert_same(batches: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert len(batches) == len(others)
    for one, other in zip(batches, others, strict=True):
        torch.testing.assert_close(one["images"], other["images"], rtol=0, atol=0)
        for target, twin in zip(one["targets"], other["targets"], strict=True):
            assert target.keys() == twin.keys()
            assert target["image_id"] == twin["image_id"]
            for key in ("boxes", "labels", "keypoints", "ignore"):
                torch.testing.assert_close(target[key], twin[key], rtol=0, atol=0)


def test_identity(wider_face: Callable[..., WiderFace]) -> None:
    module = wider_face()
    assert (module.name, module.num_classes, module.class_names) == ("wider_face", 1, ("face",))


def test_train_batches(wider_face: Build, caplog: pytest.LogCaptureFixture) -> None:
    module = wider_face()
    with caplog.at_level(logging.INFO):
        module.setup("fit")
        module.setup("fit")
    assert [record.message for record in caplog.records] == [
        "wider_face train: 1 of 4 images dropped, they have no faces"
    ]
    batches = list(module.train_dataloader())
    assert [tuple(batch["images"].shape) for batch in batches] == [(2, 3, 64, 64)]  # 3 images: the odd one is dropped
    assert batches[0]["images"].dtype == torch.uint8
    for target in batches[0]["targets"]:
        count = len(target["boxes"])
        assert count > 0
        assert (target["boxes"].dtype, target["boxes"].shape) == (torch.float32, (count, 4))
        assert (target["labels"].dtype, target["labels"].shape) == (torch.int64, (count,))
        assert (target["keypoints"].dtype, target["keypoints"].shape) == (torch.float32, (count, 5, 3))
        assert (target["ignore"].dtype, target["ignore"].shape) == (torch.bool, (count,))
        assert target["image_id"] in {"0--Parade/a_1", "0--Parade/a_2", "1--Handshaking/b_2"}


def test_a_lone_incomplete_batch_is_kept(wider_face: Build) -> None:
    (batch,) = wider_face(batch_size=8).train_dataloader()
    assert batch["images"].shape == (3, 3, 64, 64)


def test_eval_batches_and_round_trip_of_boxes(wider_face: Build) -> None:
    module = wider_face()
    module.setup("validate")
    (batch,) = module.val_dataloader()
    first, second = batch["targets"]
    assert [tuple(image.shape) for image in batch["images"]] == [(3, 40, 48), (3, 48, 40)]
    assert all(image.dtype == torch.uint8 for image in batch["images"])
    assert [target["image_id"] for target in batch["targets"]] == ["0--Parade/v_1", "1--Handshaking/v_2"]
    assert first["size"].tolist() == [80, 96]
    assert first["scale"].tolist() == [0.5, 0.5]
    assert first["boxes"].tolist() == [[10, 5, 25, 22.5], [32, 16, 37, 21]]
    assert first["ignore"].tolist() == [False, True]
    original = first["boxes"] / first["scale"].repeat(2)
    torch.testing.assert_close(original, torch.tensor(module.files.annotated("val")[0].boxes))
    assert second["boxes"].shape == (0, 4)
    assert second["keypoints"].shape == (0, 5, 3)


def test_round_trip_at_odd_sizes(wider_face: Build) -> None:
    module = wider_face(eval_resize=ResizeLongSide(53))
    (batch,) = module.val_dataloader()
    target = batch["targets"][0]
    assert batch["images"][0].shape == (3, 44, 53)
    torch.testing.assert_close(target["scale"], torch.tensor([53 / 96, 44 / 80]))
    torch.testing.assert_close(
        target["boxes"] / target["scale"].repeat(2), torch.tensor(module.files.annotated("val")[0].boxes)
    )


def test_images_are_rgb_as_stored(wider_face: Build, wider_root: Path) -> None:
    from PIL import Image

    (batch,) = wider_face(eval_resize=KeepSize()).val_dataloader()
    stored = np.asarray(Image.open(wider_root / "WIDER_val/images/0--Parade/v_1.jpg"))
    difference = batch["images"][0].permute(1, 2, 0).numpy().astype(int) - stored
    assert np.abs(difference).max() <= 2  # two JPEG decoders


def test_workers_do_not_change_batches(wider_face: Build) -> None:
    alone = list(wider_face(batch_size=1).train_dataloader())
    loader = wider_face(batch_size=1, num_workers=2).train_dataloader()
    assert_same(alone, list(loader))
    loader.sampler.set_epoch(1)  # the workers persist and must not remember epoch 0
    second = list(loader)
    fresh = wider_face(batch_size=1).train_dataloader()
    fresh.sampler.set_epoch(1)
    assert_same(second, list(fresh))
    by_id = {batch["targets"][0]["image_id"]: batch["images"] for batch in alone}
    assert all(not torch.equal(by_id[batch["targets"][0]["image_id"]], batch["images"]) for batch in second)


def test_seed_changes_batches(wider_face: Build) -> None:
    one, other = (torch.cat([b["images"] for b in wider_face(seed=seed).train_dataloader()]) for seed in (0, 1))
    assert not torch.equal(one, other)


def test_eval_workers(wider_face: Build) -> None:
    assert_same(list(wider_face().val_dataloader()), list(wider_face(num_workers=2).val_dataloader()))


def test_sources_agree(wider_face: Build) -> None:
    summaries = [
        wider_face(images=images, annotations=annotations).summary(split)
        for images in ("listed", "all")
        for annotations in ("text", "mat", None)
        for split in ("train", "val")
    ]
    assert summaries[::2] == [summaries[0]] * 6
    assert summaries[1::2] == [summaries[1]] * 6
    assert {**summaries[0], "annotation_hash": ""} == {
        "name": "wider_face",
        "split": "train",
        "images": 3,
        "annotation_hash": "",
        "image_hash": summaries[0]["image_hash"],
    }
    assert len(summaries[0]["annotation_hash"]) == len(summaries[0]["image_hash"]) == 16
    json.dumps(summaries)


def test_limits_are_told(wider_face: Build) -> None:
    module = wider_face(train_images=2, val_images=1)
    assert (module.summary("train")["images"], module.summary("val")["images"]) == (2, 1)
    assert module.truth()["wider_face"]["images"] == ["0--Parade/v_1"]
    assert wider_face(images="all", val_images=1).truth()["wider_face"]["images"] == ["0--Parade/v_1"]
    for key in ("annotation_hash", "image_hash"):
        assert module.summary("val")[key] != wider_face().summary("val")[key]


def test_truth_of_val(wider_face: Build, wider_root: Path) -> None:
    folder = wider_root / "eval_tools" / "ground_truth"
    module = wider_face()
    truth = module.truth()
    assert truth.keys() == {"targets", "wider_face"}
    assert truth["wider_face"] == {"folder": folder, "images": ["0--Parade/v_1", "1--Handshaking/v_2"]}
    assert truth["targets"]() == module.files.annotated("val")
    assert wider_face(images="all").truth()["wider_face"] == {"folder": folder, "images": None}
    assert wider_face(split="train").truth("val")["wider_face"] == truth["wider_face"]
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"evaluation's \.mat files"):
        wider_face().truth()


def test_images_are_opened_by_loaders_only(wider_face: Build, wider_root: Path) -> None:
    for split in ("train", "val"):
        shutil.rmtree(wider_root / f"WIDER_{split}")
    module = wider_face(images="all")
    module.setup("fit")
    assert module.truth()["wider_face"]["images"] is None
    assert (module.summary("val")["images"], module.summary("val")["image_hash"]) == (2, None)
    with pytest.raises(DataError) as caught:
        list(module.val_dataloader())
    missing = wider_root / "WIDER_val/images/0--Parade/v_1.jpg"
    assert str(caught.value).startswith(f"expected the image {missing}, found none")


class FailsAsInAWorker(Dataset[None]):
    """Raises what torch raises for an error in a worker (real workers take 5 s to end after one)."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        try:
            raise DataError("one line\nand another")
        except DataError:
            ExceptionWrapper(where="in DataLoader worker process 0").reraise()


def test_errors_of_workers_come_without_their_traceback() -> None:
    with pytest.raises(DataError, match="Traceback"):
        list(DataLoader(FailsAsInAWorker()))
    with pytest.raises(DataError) as caught:
        list(ResumableLoader(FailsAsInAWorker()))
    assert str(caught.value) == "one line\nand another"


def test_truncated_image(wider_face: Build, wider_root: Path) -> None:
    path = wider_root / "WIDER_val/images/1--Handshaking/v_2.jpg"
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"v_2.jpg: expected a whole JPEG"):
        list(wider_face().val_dataloader())


@pytest.mark.parametrize(
    ("path", "arguments", "split"),
    [
        ("wider_face_split/wider_face_train_bbx_gt.txt", {}, "train"),
        ("wider_face_split/wider_face_val_bbx_gt.txt", {}, "val"),
        ("wider_face_split/wider_face_train.mat", {"images": "all"}, "train"),
        ("eval_tools/ground_truth/wider_face_val.mat", {"images": "all"}, "val"),
        ("wider_face_split/wider_face_val.mat", {"annotations": "mat"}, "val"),
    ],
)
def test_missing_files(wider_face: Build, wider_root: Path, path: str, arguments: dict[str, str], split: Any) -> None:
    (wider_root / path).unlink()
    with pytest.raises(DataError) as caught:
        wider_face(**arguments).files.annotated(split)
    assert str(wider_root / path) in str(caught.value)
    assert "official layout" in str(caught.value)


def test_validation_needs_no_training_files(wider_face: Build, wider_root: Path) -> None:
    (wider_root / "wider_face_split/wider_face_train_bbx_gt.txt").unlink()
    wider_face().setup("validate")
    with pytest.raises(DataError):
        wider_face().setup("fit")


@pytest.mark.parametrize("use", [lambda module: module.setup("fit"), lambda module: module.summary("val")])
def test_missing_root(tmp_path: Path, wider_face: Build, use: Callable[[WiderFace], Any]) -> None:
    with pytest.raises(DataError, match=r"expected the dataset in .*nowhere.*data\.root=DIR.*official layout"):
        use(wider_face(root=tmp_path / "nowhere"))


def test_bad_choices(wider_face: Build) -> None:
    with pytest.raises(DataError, match="images=some"):
        wider_face(images="some")
    with pytest.raises(DataError, match="annotations=xml"):
        wider_face(annotations="xml")


def test_one_source_lacks_an_image(wider_face: Build, wider_root: Path) -> None:
    text = wider_root / "wider_face_split/wider_face_val_bbx_gt.txt"
    text.write_text("\n".join(text.read_text().splitlines()[:4]) + "\n")
    assert wider_face().summary("val")["images"] == 1
    assert wider_face(images="all").summary("val")["images"] == 2
    with pytest.raises(DataError, match="found none of 1--Handshaking/v_2"):
        wider_face(images="all", annotations="text").files.annotated("val")


def test_landmarks_reach_the_batch(wider_face: Build, wider_root: Path) -> None:
    points = " ".join(f"{20 + 5 * k} {12 + 4 * k} 0" for k in range(4)) + " -1 -1 -1"
    path = wider_root / "wider_face_split/wider_face_val_landmarks.txt"
    path.write_text(f"# 0--Parade/v_1.jpg 96 80\n20 10 50 45 {points}\n")
    (batch,) = wider_face().val_dataloader()
    keypoints = batch["targets"][0]["keypoints"]
    assert keypoints[0, 1].tolist() == [12.5, 8.0, 1.0]
    assert keypoints[0, :, 2].tolist() == [1, 1, 1, 1, 0]
    assert not keypoints[1, :, 2].any()


def test_real_subset(shared: Path) -> None:
    root = shared / "data" / "wider_face"
    modules = [
        WiderFace(root, SquareCropAugmentation(64), ResizeLongSide(64), annotations=source, num_workers=0)  # type: ignore[arg-type]
        for source in ("text", "mat")
    ]
    for split, count in (("train", 710), ("val", 394)):
        text, mat = (module.summary(split) for module in modules)  # type: ignore[arg-type]
        assert text == mat
        assert text["images"] == count
    everything = WiderFace(root, SquareCropAugmentation(64), ResizeLongSide(64), images="all", num_workers=0)
    assert everything.summary("val")["images"] == 3226
    assert everything.summary("train")["images"] == 12880 - 4  # 4 images have no faces
    assert everything.truth()["wider_face"]["images"] is None
    batch = next(iter(modules[0].train_dataloader()))
    assert batch["images"].shape == (8, 3, 64, 64)
    assert sum(len(target["boxes"]) for target in batch["targets"]) > 0
