"""Augmentation on a device against that of the processor; here the device is the processor too."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from data_modules import WiderFace
from data_modules.errors import DataError
from data_modules.loading.dataset import TrainImages
from data_modules.loading.device import DeviceTrainLoader, ResidentImages
from data_modules.loading.device.pixels import distort_batch, square_resized, train_pixels
from data_modules.loading.sampling import EpochSampler
from data_modules.loading.transforms import Pipeline, Sample, SquareCropAugmentation
from data_modules.loading.transforms.photometric import Distortion, PhotometricDistortion, distort

CPU = torch.device("cpu")


def smooth(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def tensor_of(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def sample_of(image: np.ndarray) -> Sample:
    height, width = image.shape[:2]
    boxes = np.array([[0.3 * width, 0.3 * height, 0.6 * width, 0.7 * height]], np.float32)
    return Sample(image, boxes, np.zeros(1, np.int64), np.zeros((1, 5, 3), np.float32), np.zeros(1, bool))


def test_pixels_of_whole_batches() -> None:
    """Within two grey levels but for what contrast and saturation, 2.25 together, make of one."""
    transform = SquareCropAugmentation(96)
    samples = [
        sample_of(smooth(*shape, seed)) for seed, shape in enumerate([(120, 90), (75, 200), (96, 96), (60, 61)] * 8)
    ]
    draws = [transform.draw(sample, np.random.default_rng(seed)) for seed, sample in enumerate(samples)]
    assert any(draw.square[0] < 0 for draw in draws)
    assert {draw.mirrored for draw in draws} == {False, True}
    batch = train_pixels([tensor_of(sample.image) for sample in samples], draws, 96, transform.crop.fill)
    assert batch.dtype == torch.uint8
    assert batch.shape == (32, 3, 96, 96)
    for sample, draw, image in zip(samples, draws, batch, strict=True):
        expected = tensor_of(transform.pixels(sample.image, draw)).int()
        difference = (image.int() - expected).abs()
        assert difference.max() <= (1 if draw.distortion == Distortion() else 4)
        assert (difference > 2).float().mean() < 0.01
        assert difference.float().mean() < 0.3


@pytest.mark.parametrize("square", [(0, 0, 60), (7, 3, 31), (-20, -11, 100), (10, -30, 90), (5, 5, 1)])
def test_resized_squares(square: tuple[int, int, int]) -> None:
    image = smooth(60, 80, 1)
    transform = SquareCropAugmentation(60)
    expected = cv2.resize(transform.crop.pixels(image, square), (60, 60))
    found = square_resized(tensor_of(image), square, 60, 128)
    assert (found.round() - tensor_of(expected)).abs().max() <= 1


def test_distortion_equals_that_of_the_processor() -> None:
    """Same pixels, same draws; each image of a batch with its own."""
    rule, rng = PhotometricDistortion(), np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 20, 20, 3), dtype=np.uint8)
    images[32:] //= 8  # below zero after brightness
    draws = [rule.draw(rng) for _ in images]
    batch = distort_batch(torch.from_numpy(images).permute(0, 3, 1, 2).float(), draws)
    for image, draw, found in zip(images, draws, batch, strict=True):
        difference = (found.int() - tensor_of(distort(image, draw)).int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 0.05


def test_single_equals_batched() -> None:
    transform = SquareCropAugmentation(32)
    samples = [sample_of(smooth(50, 70, seed)) for seed in range(4)]
    draws = [transform.draw(sample, np.random.default_rng(seed)) for seed, sample in enumerate(samples)]
    images = [tensor_of(sample.image) for sample in samples]
    batch = train_pixels(images, draws, 32, 128)
    for place in range(4):
        assert torch.equal(train_pixels(images[place : place + 1], draws[place : place + 1], 32, 128)[0], batch[place])


def loaders(data: WiderFace, batch_size: int = 2, max_bytes: int = 2**20) -> tuple[TrainImages, DeviceTrainLoader]:
    dataset = data.train_dataloader().dataset
    sampler = EpochSampler(len(dataset), data.seed, batch_size=batch_size)
    return dataset, DeviceTrainLoader(dataset, sampler, batch_size, CPU, max_bytes)


@pytest.mark.parametrize("max_bytes", [2**20, 30_000, 0])  # all of three images of 23 040 bytes, one, none
def test_loader_gives_what_the_data_module_gives(wider_face: Callable[..., WiderFace], max_bytes: int) -> None:
    dataset, loader = loaders(wider_face(), 3, max_bytes)
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        (batch,) = list(loader)
        for key, image, target in zip(loader.sampler, batch["images"], batch["targets"], strict=True):
            expected_image, expected = dataset[key]
            assert target.keys() == expected.keys()
            for name, value in expected.items():
                assert torch.equal(target[name], value) if isinstance(value, torch.Tensor) else target[name] == value
            assert (image.int() - expected_image.int()).abs().float().mean() < 1.0  # images of noise
    assert len(loader.images) == {2**20: 3, 30_000: 1, 0: 0}[max_bytes]


def test_photometric_draws_are_distributed_alike(wider_face: Callable[..., WiderFace]) -> None:
    """Mean and spread of the colours over many epochs, for the path of the device and that of the processor."""
    dataset, loader = loaders(wider_face(train_transform=SquareCropAugmentation(16)), 3)
    here, there = [], []
    for epoch in range(150):
        loader.sampler.set_epoch(epoch)
        (batch,) = list(loader)
        there += [image.float().mean((1, 2)) for image in batch["images"]]
        loader.sampler.set_epoch(epoch + 1000)  # other draws
        here += [dataset[key][0].float().mean((1, 2)) for key in loader.sampler]
    a, b = torch.stack(here), torch.stack(there)  # [450, 3]
    error = ((a.var(0) + b.var(0)) / len(a)).sqrt()
    assert ((a.mean(0) - b.mean(0)).abs() < 4 * error).all()
    assert ((a.std(0) / b.std(0) - 1).abs() < 0.2).all()
    assert a.std(0).min() > 10


def test_second_epoch_reads_no_file(wider_face: Callable[..., WiderFace], wider_root: Path) -> None:
    _, loader = loaders(wider_face())
    list(loader)
    whole = len(loader.images)
    for path in (wider_root / "WIDER_train").rglob("*.jpg"):
        path.rename(path.with_suffix(".gone"))
    assert len(list(loader)) == 1
    assert len(loader.images) == whole == 2


def test_lengths_and_resuming(wider_face: Callable[..., WiderFace], wider_root_of_six: Path) -> None:
    _, loader = loaders(wider_face(root=wider_root_of_six), 2)
    everything = [[target["image_id"] for target in batch["targets"]] for batch in loader]
    assert len(loader) == len(everything) == 3
    loader.first_batch = lambda: 1
    assert [[target["image_id"] for target in batch["targets"]] for batch in loader] == everything[1:]
    _, small = loaders(wider_face(), 8)
    assert len(small) == len(list(small)) == 1
    _, four = loaders(wider_face(root=wider_root_of_six), 4)
    assert len(four) == len(list(four)) == 1  # the incomplete second is dropped


def test_other_transforms_are_refused(wider_face: Callable[..., WiderFace]) -> None:
    with pytest.raises(DataError, match="found Pipeline"):
        loaders(wider_face(train_transform=Pipeline([])))


def test_resident_images_in_blocks(caplog: pytest.LogCaptureFixture) -> None:
    store = ResidentImages(CPU, max_bytes=100, block_bytes=40)
    images = {key: torch.full((3, 1, size), key, dtype=torch.uint8) for key, size in enumerate([5, 8, 12, 20, 5, 3])}
    for key, image in images.items():
        assert torch.equal(store.put(key, image), image)
    # 15 + 24 fill the first block of 40, 36 the second; 60 find no room in the last 20, but 15 do, and 9 no more.
    assert [store.get(key) is not None for key in images] == [True, True, True, False, True, False]
    for key, image in images.items():
        assert store.get(key) is None or torch.equal(store.get(key), image)  # type: ignore[arg-type]
    assert caplog.text.count("are read in every epoch") == 1


class Watcher(pl.LightningModule):
    """Learns nothing, and writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[str]] = []

    def training_step(self, batch: dict, index: int) -> torch.Tensor:
        assert batch["images"].dtype == torch.uint8
        self.seen.append([target["image_id"] for target in batch["targets"]])
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_lightning_takes_it_for_a_data_loader(
    wider_face: Callable[..., WiderFace], wider_root_of_six: Path, tmp_path: Path
) -> None:
    """Every epoch has an order of its own, which the data module's loader has too."""
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    data = wider_face(root=wider_root_of_six)
    watchers = Watcher(), Watcher()
    for watcher, loader in zip(watchers, (loaders(data)[1], data.train_dataloader()), strict=True):
        loader.first_batch = None
        pl.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=tmp_path, **quiet).fit(watcher, loader)
    assert watchers[0].seen == watchers[1].seen
    assert len(watchers[0].seen) == 6
    assert watchers[0].seen[:3] != watchers[0].seen[3:]
