"""Times a whole training step, from the data to the optimizer, as a multiple of the network's forward and backward.

    python benchmarks/training_step.py detector=scrfd_tiny schedule=demo
    python benchmarks/training_step.py detector=scrfd_2.5g data=wider_face data.root=DIR detector.recipe.batch_size=8 \\
        detector.augmentation.input_size=640 data.cache=FOLDER --steps 40

The words are those of `bench train`, and the trainer, its callbacks and its loader are built as there. After every step
the same batch passes the network alone, forward and backward from outputs to parameters, so that both see the same
moment of a machine that others use too. Times are those of the process and all its threads (`cpu`), which other
programs disturb little, and of the clock (`wall`); medians over the steps. Worker processes are in neither: what they
do costs a step only when it waits for them, which the clock tells. The first epoch decodes images and is not counted.

"data" is the way from a finished step to the next batch, "normalise" `Detector.prepare`, "losses" matching and losses
forward; what is left of a step is the backward pass of the losses, the optimizer and Lightning. On a busy machine take
`--threads 1`: threads that wait for each other count as work of the network.
"""

import argparse
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytorch_lightning as pl
import torch

from bench.config import compose
from bench.cost.allocator import keep_freed_memory
from bench.detectors.base import Detector
from bench.run.build import as_config, build_trainer, build_training
from bench.run.callbacks import KeepTime, RememberLosses, ReportProgress, StopOnDivergence
from bench.run.cells import Cell, make_cell
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}
PARTS = ("data", "normalise", "network forward", "losses")
logger = logging.getLogger("training_step")


def main() -> None:
    keep_freed_memory()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="as after `bench train`")
    parser.add_argument("--steps", type=int, default=80, help="steps that are counted, at least")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="a folder to keep drawn data and decoded images in; default: none is")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        report(arguments.words, measure(arguments, Path(folder)))


def measure(arguments: argparse.Namespace, folder: Path) -> "Stopwatch":
    """Train as `bench train` does, with a stopwatch beside it and without validation."""
    data = arguments.data or folder / "data"
    words = ["logger=none", *arguments.words, f"paths.runs={folder}", f"paths.data={data}"]
    words.append(f"trainer.threads={arguments.threads}")
    torch.set_num_threads(arguments.threads)
    cell = make_cell(compose("train", words), words)
    return fit(cell, arguments.steps)


def fit(cell: Cell, steps: int) -> "Stopwatch":
    config, workspace = as_config(cell.config), Workspace.of(cell)
    module, detector = build_training(cell)
    if config.trainer.channels_last:
        detector.use_channels_last()
    stopwatch = Stopwatch(steps)
    history = TrainingLog(workspace.root)
    own = [StopOnDivergence(), ReportProgress(workspace), KeepTime(history), RememberLosses(), stopwatch]
    trainer = build_trainer(config, workspace.root, own, None)
    trainer.limit_val_batches = 0
    trainer.fit(detector, datamodule=module)
    return stopwatch


class Stopwatch(pl.Callback):
    """Seconds of the steps, of the network alone and of parts of a step, by clock; the last callback of a trainer."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.seconds: dict[str, dict[str, list[float]]] = {clock: defaultdict(list) for clock in CLOCKS}
        self.begin: dict[str, float] | None = None  # of the running step
        self.warm = False

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Detector)
        for part, name in (("normalise", "prepare"), ("network forward", "forward"), ("losses", "losses")):
            setattr(module, name, self.timed(part, getattr(module, name)))

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self.add("data", self.begin)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.add("step", self.begin)
        begin, self.begin = self.begin, None  # parts of the step are not called for it now
        images, _ = module.prepare(batch["images"])  # type: ignore[operator]
        self.network_alone(module, images, counted=begin is not None)
        if len(self.seconds["cpu"]["step"]) >= self.steps:
            trainer.should_stop = True
        self.warm = self.warm or trainer.is_last_batch
        self.begin = now() if self.warm and not trainer.is_last_batch else None

    def network_alone(self, module: pl.LightningModule, images: torch.Tensor, counted: bool) -> None:
        """Forward and backward of a batch; the gradients it leaves are thrown away with those of the step."""
        module.zero_grad()
        begin = now() if counted else None
        maps = [x for level in module(images) if level is not None for x in level]
        torch.autograd.backward(maps, [torch.ones_like(x) for x in maps])
        self.add("network", begin)
        module.zero_grad()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            begin = now() if self.begin is not None else None
            result = function(*arguments, **options)
            self.add(part, begin)
            return result

        return call

    def add(self, part: str, begin: dict[str, float] | None) -> None:
        if begin is not None:
            for clock, end in now().items():
                self.seconds[clock][part].append(end - begin[clock])


def now() -> dict[str, float]:
    return {clock: read() for clock, read in CLOCKS.items()}


def report(words: list[str], found: Stopwatch) -> None:
    logger.info("%s: %d steps", " ".join(words), len(found.seconds["cpu"]["step"]))
    for clock, seconds in found.seconds.items():
        parts = {part: median(seconds[part]) for part in PARTS}
        step, network = median(seconds["step"]), median(seconds["network"])
        ratios = [own / other for own, other in zip(seconds["step"], seconds["network"], strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        split = ", ".join(f"{part} {value * 1e3:.1f}" for part, value in parts.items())
        logger.info(
            "%-4s step %.1f ms, network alone %.1f ms: x %.2f (quartiles %.2f to %.2f); %s",
            *(clock, step * 1e3, network * 1e3, middle, low, high, split),
        )


if __name__ == "__main__":
    main()
