"""With a real Trainer: epochs differ, and a resumed run sees the batches of an uninterrupted one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from data_modules import WiderFace
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation


class Recorder(pl.LightningModule):
    """Learns nothing; writes down what it is shown as (epoch, batch number, digest)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, int, str]] = []

    def training_step(self, batch: dict[str, Any], batch_index: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch_index, hashlib.sha256(batch["images"].numpy()).hexdigest()))
        return self.weight * 0

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        assert isinstance(batch["images"], list)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: WiderFace, recorder: Recorder, root: Path, resume: Path | None = None, **options: Any) -> None:
    trainer = pl.Trainer(
        **({"max_epochs": 3, "callbacks": []} | options),
        default_root_dir=root,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=bool(options.get("callbacks")),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(recorder, module, ckpt_path=resume)


@pytest.fixture
def build(wider_root_of_six: Path) -> Callable[[int], WiderFace]:
    """Data modules of six training images, two a batch: three batches an epoch."""

    def module(workers: int) -> WiderFace:
        return WiderFace(
            wider_root_of_six, SquareCropAugmentation(32), ResizeLongSide(32), batch_size=2, num_workers=workers
        )

    return module


@pytest.mark.parametrize("options", [{}, {"limit_train_batches": 2}], ids=["whole", "limited"])
def test_epochs_differ_and_repeat_by_seed(
    build: Callable[[int], WiderFace], tmp_path: Path, options: dict[str, int]
) -> None:
    first, second = Recorder(), Recorder()
    fit(build(0), first, tmp_path, **options)
    fit(build(2), second, tmp_path, **options)
    assert first.seen == second.seen
    batches = options.get("limit_train_batches", 3)
    assert [place[:2] for place in first.seen] == [(epoch, batch) for epoch in range(3) for batch in range(batches)]
    assert len({digest for _, _, digest in first.seen}) == 3 * batches


@pytest.mark.parametrize(("workers", "steps"), [*((0, steps) for steps in range(1, 7)), (2, 3), (2, 4)])
@pytest.mark.parametrize("options", [{}, {"limit_train_batches": 2}], ids=["whole", "limited"])
def test_resumed_within_an_epoch(
    build: Callable[[int], WiderFace], tmp_path: Path, workers: int, steps: int, options: dict[str, int]
) -> None:
    """Checkpoints after 1 .. 6 batches: within the first two epochs, and at their ends."""
    whole = Recorder()
    fit(build(workers), whole, tmp_path, **options)
    save = ModelCheckpoint(tmp_path / "ckpt", "stopped", every_n_train_steps=steps, save_top_k=1)
    stopped = Recorder()
    fit(build(workers), stopped, tmp_path, max_epochs=-1, max_steps=steps, callbacks=[save], **options)
    assert stopped.seen == whole.seen[:steps]
    resumed = Recorder()
    fit(build(workers), resumed, tmp_path, tmp_path / "ckpt" / "stopped.ckpt", **options)
    assert resumed.seen == whole.seen[steps:]


@pytest.mark.parametrize("on_train_epoch_end", [True, False])
def test_resumed_after_an_epoch(build: Callable[[int], WiderFace], tmp_path: Path, on_train_epoch_end: bool) -> None:
    whole, stopped, resumed = Recorder(), Recorder(), Recorder()
    fit(build(0), whole, tmp_path)
    save = ModelCheckpoint(tmp_path / "ckpt", "stopped", save_on_train_epoch_end=on_train_epoch_end)
    fit(build(0), stopped, tmp_path, max_epochs=2, callbacks=[save])
    fit(build(0), resumed, tmp_path, tmp_path / "ckpt" / "stopped.ckpt")
    assert stopped.seen + resumed.seen == whole.seen
    assert len(resumed.seen) == 3


def test_loader_begins_at_the_start_outside_of_a_fit(build: Callable[[int], WiderFace], tmp_path: Path) -> None:
    module = build(0)
    fit(module, Recorder(), tmp_path, max_epochs=1)
    assert len(list(module.train_dataloader())) == 3


def test_overfitting_on_a_few_batches(build: Callable[[int], WiderFace], tmp_path: Path) -> None:
    """Lightning swaps in a sampler of its own, which yields bare indices."""
    recorder = Recorder()
    fit(build(0), recorder, tmp_path, max_epochs=2, overfit_batches=1)
    (_, _, first), (_, _, second) = recorder.seen
    assert first == second
