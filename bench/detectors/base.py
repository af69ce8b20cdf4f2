"""The contract of every detector: train, propose candidates, predict, name the parts for the cost split."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from bench.cost.complexity import Complexity, measure_complexity
from bench.cost.distribution import CostDistribution
from bench.detectors.batches import by_size, picked
from bench.detectors.candidates import Candidates, Images, Prediction
from bench.detectors.epoch_losses import EpochLosses
from bench.detectors.recipe import Recipe
from bench.errors import ConfigError, ImageError, WeightsError
from bench.weights.folding import fold_norms
from bench.weights.load import load_state
from bench.weights.onnx.importer import import_onnx

Batch = Mapping[str, Any]
Size = tuple[int, int]  # height, width


class Evaluation(Protocol):
    """What happens to a batch in validation; see `bench.evaluation`."""

    def step(self, detector: Any, images: Any, targets: Sequence[Mapping[str, Any]]) -> None: ...
    def compute(self) -> dict[str, dict[str, float]]: ...
    def reset(self) -> None: ...


class Detector(pl.LightningModule):
    """A LightningModule that takes uint8 RGB images and answers with boxes in their pixels.

    Normalisation and padding happen here, so that an exported detector carries them along.

    Args:
        mean, std: per channel, in 0..255.
        divisor: height and width are padded to multiples of it, with the value that is zero after normalisation.
        recipe: needed for training only.

    Attributes:
        postprocess: what `predict` uses; handed in from outside (`bench.create_detector` does).
        evaluation: what validation does with a batch; handed in by who validates.
    """

    mean: Tensor  # [1, 3, 1, 1]
    std: Tensor  # [1, 3, 1, 1]

    def __init__(
        self,
        mean: Sequence[float] = (127.5, 127.5, 127.5),
        std: Sequence[float] = (128.0, 128.0, 128.0),
        divisor: int = 32,
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__()
        self.divisor = divisor
        self.recipe = recipe
        self.postprocess: Callable[[Candidates], list[Prediction]] | None = None
        self.evaluation: Evaluation | None = None
        self.epoch_losses = EpochLosses()
        self.memory_format = torch.contiguous_format
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def components(self) -> dict[str, nn.Module]:
        """Submodules by name; together they hold every parameter, and the cost is split along them."""

    def backbone_components(self) -> tuple[str, ...]:
        """Names of the components whose costs together are the backbone's; none where there is no backbone."""
        return ()

    @abstractmethod
    def candidates(self, outputs: Any, sizes: Tensor) -> Candidates:
        """Decode what `forward` returned for images of `sizes` [B, 2]."""

    @abstractmethod
    def losses(self, outputs: Any, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Named losses whose sum is trained."""

    def complexity(self, size: Size) -> Complexity | None:
        """Parameters and operations of one image of `size`; None where they run elsewhere and cannot be counted."""
        return measure_complexity(self, size)

    def cost_distribution(self) -> CostDistribution | None:
        """How the operations of the images seen so far are spread; None where every image of a size costs the same."""
        return None

    def input_size(self, wanted: Size) -> Size:
        """The size at which an image of `wanted` size is looked at; a detector of one fixed size says which."""
        return wanted

    def check_device(self, device: str, precision: str) -> None:
        """Raise ConfigError where this detector cannot run on "cpu" or "cuda" in "fp32", "fp16" or "bf16"."""

    def load(self, path: Path, name: str) -> None:
        """Take weights from a .safetensors file or a checkpoint; `name` is the detector's, for messages.

        Raises:
            WeightsError: a file that cannot be read, does not fit or holds a value that is not finite.
        """
        load_state(self, path, name)

    def published(self, source: Path, name: str) -> dict[str, Tensor]:
        """A published file as a state dict; `name` is the detector's, for messages.

        Raises:
            WeightsError: with the list of what does not fit.
        """
        return import_onnx(self, source, name)

    def folded(self) -> Self:
        """A copy for inference that computes the same: norms inside the convolutions, weights channels last.

        Raises:
            WeightsError: its forward pass cannot be traced, so that nobody knows which norm follows what.
        """
        ready = fold_norms(self)
        ready.use_channels_last()
        return ready

    def check_exportable(self) -> None:
        """Raise WeightsError where the network cannot become an ONNX graph of named outputs."""
        raise WeightsError(f"expected a detector that can be exported to ONNX, found {type(self).__name__}")

    def graph_outputs(self, outputs: Any) -> dict[str, Tensor]:
        """What `forward` returned as the named outputs of an exported graph, in order."""
        raise NotImplementedError

    def prepare(self, images: Images, pad_to: Size | None = None) -> tuple[Tensor, Tensor]:
        """Images uint8 [3, H, W] each -> one normalised batch [B, 3, H', W'] and the sizes [B, 2] before padding.

        Raises:
            ImageError: no image, or one of another shape or type.
        """
        check_images(images)
        shapes = [images.shape[-2:]] if isinstance(images, Tensor) else [image.shape[-2:] for image in images]
        sizes = torch.tensor(shapes, dtype=torch.int64).repeat(len(images) // len(shapes), 1)  # [B, 2]
        largest = (max(*sides) for sides in zip(*shapes, pad_to or (0, 0), strict=True))
        height, width = (-(-side // self.divisor) * self.divisor for side in largest)
        if isinstance(images, Tensor) and tuple(images.shape[-2:]) == (height, width):
            batch = self.normalize(images)
            return batch.contiguous(memory_format=self.memory_format), sizes.to(self.mean.device)
        batch = self.mean.new_zeros((len(images), 3, height, width))
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[-2], : image.shape[-1]] = self.normalize(image[None])[0]
        return batch.contiguous(memory_format=self.memory_format), sizes.to(self.mean.device)

    def use_channels_last(self) -> None:
        """Lay out weights and batches channels last: the same numbers up to rounding, faster on most machines."""
        self.memory_format = torch.channels_last
        self.to(memory_format=torch.channels_last)

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> the same in the type and on the device of the detector."""
        moved = images.to(self.mean.device, non_blocking=True)
        return moved.float().sub_(self.mean).div_(self.std).to(self.mean.dtype)

    def raw(self, images: Images, pad_to: Size | None = None) -> Candidates:
        """Candidates before suppression, for images uint8 [3, H, W] each, padded to the largest of them."""
        batch, sizes = self.prepare(images, pad_to)
        return self.candidates(self(batch), sizes)

    @torch.no_grad()
    def predict(self, images: Images) -> list[Prediction]:
        """One dict per image, in its own pixels: boxes [n, 4], scores [n], labels [n], keypoints [n, K, 3].

        Images of different sizes do not share a forward pass: none depends on its neighbors.

        Raises:
            ConfigError: no post-processor was handed in.
        """
        if self.postprocess is None:
            raise ConfigError("expected `detector.postprocess`, found none; bench.create_detector hands one in")
        check_images(images)
        found: dict[int, Prediction] = {}
        for index in by_size(images):
            found.update(zip(index, self.postprocess(self.raw(picked(images, index))), strict=True))
        return [found[i] for i in range(len(images))]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, _ = self.prepare(batch["images"])
        losses = self.losses(self(images), batch["targets"])
        total = torch.stack(list(losses.values())).sum()
        self.epoch_losses.add({**losses, "loss": total}, len(images))
        return total

    def on_train_epoch_start(self) -> None:
        self.epoch_losses = EpochLosses()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.trainer.is_last_batch:
            means = {f"train/{name}": value for name, value in self.epoch_losses.means().items()}
            self.log_dict(means, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        self.required_evaluation().reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.required_evaluation().step(self, batch["images"], batch["targets"])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's hook: in validation images follow look by look, and targets are wanted on the CPU.

        On the CPU a batch is there already; looking at every tensor of it would cost milliseconds.
        """
        if self.trainer.training and device.type != "cpu":
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return batch

    def on_validation_epoch_end(self) -> None:
        metrics = self.required_evaluation().compute()
        first = next(iter(metrics.values()))
        self.log_dict({f"val/{key}": value for key, value in first.items()})

    def required_evaluation(self) -> Evaluation:
        if self.evaluation is None:
            raise RuntimeError("a detector validates under an evaluation: set `detector.evaluation` first")
        return self.evaluation

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        if self.recipe is None:
            raise RuntimeError("a detector trains by a recipe: build it with `recipe=`")
        total = int(self.trainer.estimated_stepping_batches)
        batches = self.trainer.world_size * self.trainer.accumulate_grad_batches
        optimizer, schedule = self.recipe.build(self.parameters(), total, batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def check_images(images: Images) -> None:
    """Floats in 0..1 or planes in another order would pass through the network and find nothing."""
    if len(images) == 0:
        raise ImageError("expected at least one image, found none")
    for image in images[:1] if isinstance(images, Tensor) else images:
        if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
            raise ImageError(f"expected RGB images uint8 [3, H, W], found {image.dtype} {list(image.shape)}")
