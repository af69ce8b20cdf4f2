"""The contract of every detector: train, propose candidates, predict, name the parts for the cost split."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from bench.detectors.evaluation import Evaluation
from bench.detectors.multi_scale import Images as Images
from bench.detectors.multi_scale import View, by_size, picked, propose
from bench.detectors.postprocess import Candidates, PostProcessor, Prediction
from bench.detectors.recipe import Recipe
from bench.errors import ImageError

Batch = Mapping[str, Any]


class Detector(pl.LightningModule):
    """A LightningModule that takes uint8 RGB images and answers with boxes in their pixels.

    Normalisation and padding happen here, so that an exported detector carries them along.

    Args:
        postprocessor: what `predict` uses; evaluation may hand in several others.
        mean, std: per channel, in 0..255.
        divisor: height and width are padded to multiples of it, with the value that is zero after normalisation.
        recipe: needed for training only.
    """

    mean: Tensor  # [1, 3, 1, 1]
    std: Tensor  # [1, 3, 1, 1]

    def __init__(
        self,
        postprocessor: PostProcessor,
        mean: Sequence[float] = (127.5, 127.5, 127.5),
        std: Sequence[float] = (128.0, 128.0, 128.0),
        divisor: int = 32,
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__()
        self.postprocess = postprocessor
        self.divisor = divisor
        self.recipe = recipe
        self.evaluation: Evaluation | None = None
        self.memory_format = torch.contiguous_format
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

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

    def prepare(self, images: Images, pad_to: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """Images uint8 [3, H, W] each -> one normalised batch [B, 3, H', W'] and the sizes [B, 2] before padding.

        Raises:
            ImageError: no image, or one of another shape or type.
        """
        check_images(images)
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64)  # [B, 2]
        largest = [max(side, wanted) for side, wanted in zip(sizes.amax(0).tolist(), pad_to or (0, 0), strict=True)]
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
        return ((images.to(self.mean.device).float() - self.mean) / self.std).to(self.mean.dtype)

    def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates:
        """Candidates before suppression, for images uint8 [3, H, W] each, padded to the largest of them."""
        batch, sizes = self.prepare(images, pad_to)
        return self.candidates(self(batch), sizes)

    @torch.no_grad()
    def predict(
        self, images: Images, pad_to: tuple[int, int] | None = None, views: Sequence[View] = ()
    ) -> list[Prediction]:
        """One dict per image, in its own pixels: boxes [n, 4], scores [n], labels [n], keypoints [n, K, 3].

        Without `pad_to`, images of different sizes do not share a forward pass: none depends on its neighbors.

        Args:
            views: of multi-scale testing; none: the images as they are.
        """
        check_images(images)
        found: dict[int, Prediction] = {}
        for index in by_size(images, pad_to, views):
            candidates = propose(self.raw, picked(images, index), pad_to, views)
            found.update(zip(index, self.postprocess(candidates), strict=True))
        return [found[i] for i in range(len(images))]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, _ = self.prepare(batch["images"])
        losses = self.losses(self(images), batch["targets"])
        total = torch.stack(list(losses.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in losses.items()} | {"train/loss": total.detach()}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return total

    def on_validation_epoch_start(self) -> None:
        self.required_evaluation().reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        evaluation = self.required_evaluation()
        images, targets = batch["images"], batch["targets"]
        for index in by_size(images, evaluation.pad_to, evaluation.views):
            found = propose(self.raw, picked(images, index), evaluation.pad_to, evaluation.views)
            evaluation.update(found, [targets[i] for i in index])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's hook: images that views resize first stay where they are, and follow view by view."""
        if self.evaluation is not None and self.evaluation.views and not self.training:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

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
    for image in images:
        if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
            raise ImageError(f"expected RGB images uint8 [3, H, W], found {image.dtype} {list(image.shape)}")
