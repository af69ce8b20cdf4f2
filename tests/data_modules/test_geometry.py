"""Targets of an epoch without pixels: the same as those of the loaders."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from data_modules import WiderFace
from data_modules.errors import DataError
from data_modules.loading.geometry import epoch_targets, image_size
from data_modules.loading.transforms import SQUARE_CROP_SCALES_REDISTRIBUTED, SquareCropAugmentation

Build = Callable[..., WiderFace]


def no_image(*arguments: object) -> None:
    raise AssertionError("an image was decoded")


def same(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[key], theirs[key]) if torch.is_tensor(ours[key]) else ours[key] == theirs[key] for key in ours
    )


@pytest.mark.parametrize("photometric", [False, True])
def test_training_targets_are_those_of_the_loader(wider_face: Build, photometric: bool) -> None:
    """Colour changes draw after the geometry, so leaving them out moves no box."""
    build = {"crop_scales": SQUARE_CROP_SCALES_REDISTRIBUTED}
    decoded = wider_face(train_transform=SquareCropAugmentation(64, photometric=photometric, **build))
    blank = wider_face(train_transform=SquareCropAugmentation(64, photometric=False, **build))
    dataset = decoded.train_dataloader().dataset
    for epoch in (0, 3):
        wanted = [dataset[epoch, index][1] for index in range(len(dataset))]
        found = list(epoch_targets(blank, "train", epoch))
        assert len(found) == len(wanted) == 3
        assert all(map(same, found, wanted))
    assert not all(map(same, epoch_targets(blank, "train", 0), epoch_targets(blank, "train", 1)))


def test_validation_targets_are_those_of_the_loader(wider_face: Build) -> None:
    wanted = [target for batch in wider_face().val_dataloader() for target in batch["targets"]]
    found = list(epoch_targets(wider_face(), "val"))
    assert len(found) == 2
    assert all(map(same, found, wanted))


def test_no_image_is_decoded(wider_face: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_modules.loading.samples.read_image", no_image)
    monkeypatch.setattr("data_modules.loading.samples.decode_image", no_image)
    data = wider_face()
    with pytest.raises(AssertionError, match="decoded"):
        data.train_dataloader().dataset[0]
    assert len(list(epoch_targets(data, "train"))) == 3


def test_the_datasets_of_the_module_keep_their_pixels(wider_face: Build) -> None:
    data = wider_face()
    list(epoch_targets(data, "train"))
    image, _ = data.train_dataloader().dataset[0]
    assert image.float().std() > 0


def test_size_is_height_and_width(wider_root: Path) -> None:
    folder = wider_root / "WIDER_train" / "images" / "0--Parade"
    assert image_size(folder / "a_1.jpg") == (80, 96)
    assert image_size(folder / "a_2.jpg") == (96, 80)


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg.*found none"):
        image_size(tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"text\.jpg: expected an image"):
        image_size(tmp_path / "text.jpg")


def test_a_module_from_elsewhere_is_read_through_its_loader() -> None:
    targets = [{"image_id": number} for number in range(5)]
    loader = DataLoader(range(5), batch_size=2, collate_fn=lambda numbers: {"targets": [targets[n] for n in numbers]})
    assert list(epoch_targets(SimpleNamespace(train_dataloader=lambda: loader), "train")) == targets
