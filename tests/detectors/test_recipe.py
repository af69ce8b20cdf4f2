"""Learning rates of the published recipes at the iterations where they turn, and a recipe in Lightning's hands."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from bench.config import compose
from bench.detectors.create import build_detector, create_detector
from bench.detectors.recipe import Recipe

PER_EPOCH = 403  # iterations of 12,880 images in batches of 32


def recipe(**changes: Any) -> Recipe:
    return Recipe(
        **({"optimizer": torch.optim.SGD, "lr": 0.1, "epochs": 10, "batch_size": 8, "reference_batch": 32} | changes)
    )


def published(detector: str) -> Recipe:
    found = build_detector(compose("model", [f"detector={detector}"]).detector, with_recipe=True).recipe
    assert found is not None
    return found


def test_scrfd_as_released() -> None:
    scrfd = published("scrfd_2.5g")
    total = scrfd.epochs * PER_EPOCH
    optimizer, _ = scrfd.build([nn.Parameter(torch.zeros(1))], total)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {k: optimizer.defaults[k] for k in ("momentum", "weight_decay")} == {"momentum": 0.9, "weight_decay": 5e-4}
    rates = {step: scrfd.lr * scrfd.factor(step, total) for step in (0, 750, 1500, 440 * PER_EPOCH - 1, total - 1)}
    # 0.001 of the rate at first, half of the way after half of the warm-up
    assert rates == {
        0: pytest.approx(1e-5),
        750: pytest.approx(0.01 * (0.001 + 0.999 / 2)),
        1500: pytest.approx(0.01),
        440 * PER_EPOCH - 1: pytest.approx(0.01),
        total - 1: pytest.approx(1e-4),
    }
    assert scrfd.lr * scrfd.factor(440 * PER_EPOCH, total) == pytest.approx(1e-3)
    assert scrfd.lr * scrfd.factor(544 * PER_EPOCH - 1, total) == pytest.approx(1e-3)
    assert scrfd.lr * scrfd.factor(544 * PER_EPOCH, total) == pytest.approx(1e-4)


def test_blazeface() -> None:
    blazeface = published("blazeface")
    optimizer, _ = blazeface.build([nn.Parameter(torch.zeros(1))], 1000)
    assert isinstance(optimizer, torch.optim.Adam)
    factors = [blazeface.factor(step, 100_000) for step in (0, 500, 66_999, 67_000, 82_999, 83_000)]
    assert factors == pytest.approx([0.3333, 1, 1, 0.1, 0.1, 0.01])


def test_cosine() -> None:
    cosine = recipe(decay="cosine", warmup_iterations=10, warmup_factor=0.1)
    found = [cosine.factor(step, 100) for step in (0, 5, 50, 75, 100, 120)]
    assert found == pytest.approx([0.1, 0.55, 0.5, 0.5 * (1 + math.cos(0.75 * math.pi)), 0, 0])


def test_tinaface_restarts() -> None:
    """21 periods of 30 epochs, from the full rate towards a hundredth, constant within an epoch."""
    tinaface, per_epoch = published("tinaface"), 1073
    total = tinaface.epochs * per_epoch
    low, middle = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 29 / 30)), 0.01 + 0.99 * 0.5
    steps = [0, 250, 500, per_epoch - 1, 15 * per_epoch, 16 * per_epoch - 1, 29 * per_epoch, 30 * per_epoch, total - 1]
    found = [tinaface.factor(step, total) for step in steps]
    assert found == pytest.approx([0.1, 0.55, 1, 1, middle, middle, low, 1, low])


@pytest.mark.parametrize(("batches", "rate"), [(1, 0.025), (4, 0.1), (8, 0.2)])
def test_the_rate_follows_the_batch(batches: int, rate: float) -> None:
    optimizer, schedule = recipe().build([nn.Parameter(torch.zeros(1))], 10, batches)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert schedule.get_last_lr() == pytest.approx([rate])


def test_the_schedule_moves_the_optimizer() -> None:
    optimizer, schedule = recipe(batch_size=32, milestones=(0.5,), warmup_iterations=2, warmup_factor=0.5).build(
        [nn.Parameter(torch.zeros(1))], 6
    )
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.05, 0.075, 0.1, 0.01, 0.01, 0.01])


def collate(images: list[torch.Tensor]) -> dict[str, Any]:
    target = {
        "boxes": torch.tensor([[10.0, 10, 40, 40]]),
        "labels": torch.zeros(1, dtype=torch.int64),
        "keypoints": torch.zeros(1, 5, 3),
        "ignore": torch.zeros(1, dtype=torch.bool),
    }
    return {"images": torch.stack(images), "targets": [target] * len(images)}


def test_a_training_by_lightning(tmp_path: Path) -> None:
    """Two epochs of eight batches of one, gradients of two accumulated: eight steps; its checkpoint loads again."""
    overrides = ["batch_size=1", "reference_batch=2", "epochs=2", "warmup_iterations=4", "warmup_factor=0.5"]
    overrides += ["lr=0.01", "decay=step"]
    config = compose("model", ["detector=scrfd_tiny", *(f"detector.recipe.{override}" for override in overrides)])
    detector = build_detector(config.detector, with_recipe=True)
    rates = []

    class Watch(pl.Callback):
        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        accumulate_grad_batches=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Watch()],
        default_root_dir=tmp_path,
    )
    images: Any = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(8)]
    trainer.fit(detector, DataLoader(images, batch_size=1, collate_fn=collate))
    # 0.01 for a batch of two, which two accumulated ones are; warm-up over four steps; /10 at 0.6875 and 0.85 of eight
    assert rates == pytest.approx([0.005, 0.00625, 0.0075, 0.00875, 0.01, 0.01, 0.001, 0.0001])
    assert {"train/loss", "train/loss_cls", "train/loss_bbox", "train/loss_kps"} <= set(trainer.callback_metrics)

    trainer.save_checkpoint(tmp_path / "last.ckpt")
    other = create_detector("scrfd_tiny")
    other.load(tmp_path / "last.ckpt", "scrfd_tiny")
    for name, value in detector.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
