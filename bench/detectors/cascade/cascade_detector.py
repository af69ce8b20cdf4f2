"""MTCNN behind the contract: P-Net over a pyramid, R-Net and O-Net over all crops of a batch at once.

    for each image, for each scale:                         1. P-Net over the image resized
        windows whose score reaches the threshold, suppression
    suppression across scales, calibration, squares
    score the crops of all squares with R-Net               2. threshold, suppression, calibration, squares
    score the crops of all squares with O-Net               3. threshold, landmarks, calibration, suppression

Images of one size share every pass of P-Net; crops of all images share those of R-Net and O-Net. The last suppression
belongs to the cascade; that of the protocol comes after it.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from bench.cost.complexity import Complexity
from bench.cost.distribution import CostDistribution
from bench.detectors.base import Detector, Size, check_images
from bench.detectors.candidates import Candidates, Images, Prediction
from bench.detectors.cascade.cost import StageTally, cascade_complexity
from bench.detectors.cascade.integral import IntegralImages
from bench.detectors.cascade.networks import ONet, PNet, RNet, StageOutputs, in_chunks
from bench.detectors.cascade.proposals import Proposals, keypoints_of, mirrored_landmarks, proposals_of_level
from bench.detectors.cascade.published import read_published
from bench.detectors.cascade.pyramid import level_sizes, scales_of
from bench.detectors.cascade.resampling import RULES
from bench.detectors.cascade.rules import CascadeRules
from bench.detectors.recipe import Recipe
from bench.errors import ConfigError

PASS_PIXELS = 2**18  # of a pass of P-Net on a CPU, beyond which images do not share it
PIXEL = 1.0  # a box covers its last pixel, so that its sides are one more than the differences of its corners


class CascadeDetector(Detector):
    """
    Args:
        pnet, rnet, onet: the networks.
        mean, std, recipe: as of `Detector`.
        inference: values of `CascadeRules`.

    What it is given to look at needs no padding, and is not padded.
    """

    def __init__(
        self,
        pnet: PNet,
        rnet: RNet,
        onet: ONet,
        mean: Sequence[float] = (127.5, 127.5, 127.5),
        std: Sequence[float] = (128.0, 128.0, 128.0),
        recipe: Recipe | None = None,
        **inference: Any,
    ) -> None:
        super().__init__(mean, std, divisor=1, recipe=recipe)
        self.pnet, self.rnet, self.onet = pnet, rnet, onet
        self.rules = CascadeRules(**inference)
        self.resampling = RULES[self.rules.resampling]
        self.plain = plain_numbers(self.mean, self.std)
        self.tally = StageTally()
        self.use_channels_last()

    def components(self) -> dict[str, nn.Module]:
        return {"pnet": self.pnet, "rnet": self.rnet, "onet": self.onet}

    def complexity(self, size: Size) -> Complexity:
        """P-Net's pyramid at `size`, and what a window of each network costs; the rest depends on the image."""
        return cascade_complexity(self, size, self.levels(size))

    def cost_distribution(self) -> CostDistribution | None:
        return self.tally.distribution(self)

    def folded(self) -> Self:
        """A copy; there are no norms, and weights lie channels last already."""
        return copy.deepcopy(self).eval()

    def published(self, source: Path, name: str) -> dict[str, Tensor]:
        """Of facenet-pytorch's files, in which axes of R-Net's and O-Net's first dense layer go another way."""
        return read_published(self, source, name)

    def scales(self, size: Size) -> list[float]:
        return scales_of(size, self.rules.min_face, self.rules.factor)

    def levels(self, size: Size) -> list[Size]:
        """Heights and widths of the pyramid of an image of `size`."""
        return level_sizes(size, self.scales(size), self.rules.level_rounding)

    def prepare(self, images: Images, pad_to: Size | None = None) -> tuple[Any, Tensor]:
        """The images as they are, on the networks' device, and their sizes [B, 2]; `pad_to` means nothing here."""
        check_images(images)
        device = self.mean.device
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64, device=device)
        return [image.to(device, non_blocking=True) for image in images], sizes

    @torch.no_grad()
    def predict(self, images: Images) -> list[Prediction]:
        """As every detector; images of all sizes go through R-Net and O-Net together."""
        if self.postprocess is None:
            raise ConfigError("expected `detector.postprocess`, found none; bench.create_detector hands one in")
        return self.postprocess(self.raw(images))

    def forward(self, images: Images) -> Candidates:
        """uint8 [3, H, W] each -> what the three stages leave."""
        placed, sizes = self.prepare(images)
        integrals = IntegralImages.of(placed, sizes)
        first = self.first_stage(integrals, [(int(image.shape[1]), int(image.shape[2])) for image in placed])
        found = self.third_stage(integrals, self.second_stage(integrals, first))
        boxes = found.boxes - found.boxes.new_tensor([PIXEL, PIXEL, 0.0, 0.0])  # continuous, from 0
        return Candidates(boxes, found.scores[:, None], found.image, sizes, found.keypoints)

    def candidates(self, outputs: Candidates, sizes: Tensor) -> Candidates:
        """What `forward` returned: the stages need the image, so that nothing is left to decode."""
        return outputs

    def losses(self, outputs: Any, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        raise ConfigError("a cascade is not trained as a whole; its networks are, one after the other, on crops")

    def first_stage(self, integrals: IntegralImages, sizes: Sequence[Size]) -> Proposals:
        """P-Net's squares, of images of `sizes`."""
        self.tally.images(sizes)
        rules = self.rules
        parts = [Proposals.none(self.mean.device)]
        for size, members in members_by_size(sizes).items():
            for scale, level in zip(self.scales(size), self.levels(size), strict=True):
                for image in torch.split(torch.tensor(members, device=self.mean.device), self.images_of_a_pass(level)):
                    cells = self.cells(integrals, image, size, scale, level)
                    parts.append(cells.suppressed(rules.level_overlap, rules.suppression_pixel))
        found = Proposals.joined(parts).suppressed(rules.overlap, rules.suppression_pixel)
        return self.squares(found.calibrated(0.0), integrals.sizes)

    def cells(self, integrals: IntegralImages, image: Tensor, size: Size, scale: float, level: Size) -> Proposals:
        """What P-Net finds in images [b] of one size at one scale."""
        totals = [integrals.image(index, *size) for index in image.tolist()]
        pixels = torch.stack([self.resampling.level(total, level) for total in totals])  # [b, h, w, 3]
        outputs = self.pnet(self.network_input(pixels))
        return proposals_of_level(outputs, scale, self.rules.thresholds[0], image, PNet.window, PNet.stride)

    def images_of_a_pass(self, level: Size) -> int:
        """As many as share a pass of P-Net: on a CPU few large ones, whose maps stay near its cache."""
        pixels = PASS_PIXELS * (1 if self.mean.device.type == "cpu" else 64)
        return max(1, pixels // (level[0] * level[1]))

    def second_stage(self, integrals: IntegralImages, squares: Proposals) -> Proposals:
        """Those of P-Net's squares that R-Net takes for faces, as squares again."""
        rules, crops = self.rules, self.crops(integrals, squares, RNet.window)
        found = squares.scored(self.look("rnet", crops, squares.image))
        found = found.select(found.scores > rules.thresholds[1])
        found = found.suppressed(rules.overlap, rules.suppression_pixel).calibrated(PIXEL)
        return self.squares(found, integrals.sizes)

    def third_stage(self, integrals: IntegralImages, squares: Proposals) -> Proposals:
        """Those of R-Net's squares that O-Net takes for faces, calibrated, with keypoints [m, 5, 2] in pixels."""
        crops = self.crops(integrals, squares, ONet.window)
        found = squares.scored(self.look("onet", crops, squares.image))
        passed = (found.scores > self.rules.thresholds[2]).nonzero().squeeze(1)
        found = found.select(passed)
        calibrated = found.calibrated(PIXEL)
        kept = calibrated.survivors_by_smaller(self.rules.smaller_overlap)
        found = found.select(kept)
        landmarks = self.landmarks(found, crops[passed[kept]])
        return replace(calibrated.select(kept), keypoints=keypoints_of(found.boxes, landmarks))

    def landmarks(self, found: Proposals, crops: Tensor) -> Tensor:
        """O-Net's landmarks [m, 10] of what is kept, with those of the mirrored crops where the rules say so."""
        assert found.landmarks is not None
        if not self.rules.mirrored_landmarks:
            return found.landmarks
        mirrored = self.look("onet", crops.flip(3), found.image).landmarks
        assert mirrored is not None
        return (found.landmarks + mirrored_landmarks(mirrored.float())) / 2

    def look(self, name: str, crops: Tensor, image: Tensor) -> StageOutputs:
        """What R-Net or O-Net says of crops of the images [M]."""
        self.tally.windows(name, image)
        return in_chunks(self.get_submodule(name), crops)

    def crops(self, integrals: IntegralImages, squares: Proposals, side: int) -> Tensor:
        """What R-Net or O-Net sees of squares: [M, 3, side, side], normalised."""
        windows = self.windows(squares.boxes, integrals.sizes[squares.image])
        return self.network_input(self.resampling.windows(integrals, squares.image, windows, side))

    def squares(self, found: Proposals, sizes: Tensor) -> Proposals:
        """Made square, in whole pixels where the rules say so, without those that have no pixel to look at."""
        found = found.squared()
        if self.rules.truncate_boxes:
            found = replace(found, boxes=found.boxes.trunc())
        left, top, right, bottom = self.windows(found.boxes, sizes[found.image]).unbind(-1)
        return found.select((right > left) & (bottom > top))

    def windows(self, boxes: Tensor, sizes: Tensor) -> Tensor:
        """Boxes [M, 4] in images of `sizes` [M, 2] -> the pixels of their crops, int64 xyxy from 0."""
        windows = boxes.trunc().long()
        if self.rules.border == "cut":
            windows = torch.cat([windows[:, :2].clamp(min=1), windows[:, 2:].minimum(sizes.flip(1))], dim=1)
        return windows - windows.new_tensor([1, 1, 0, 0])

    def network_input(self, pixels: Tensor) -> Tensor:
        """float32 [N, h, w, 3] in 0..255, overwritten -> normalised [N, 3, h, w], channels last as they are."""
        mean, std = self.plain or (self.mean, self.std)
        return pixels.permute(0, 3, 1, 2).sub_(mean).div_(std).to(self.mean.dtype)


def plain_numbers(mean: Tensor, std: Tensor) -> tuple[float, float] | None:
    """One number each where all channels have the same: ten times as fast as one for each channel."""
    numbers = {*zip(mean.flatten().tolist(), std.flatten().tolist(), strict=True)}
    return numbers.pop() if len(numbers) == 1 else None


def members_by_size(sizes: Sequence[Size]) -> dict[Size, list[int]]:
    """Indices of the images of each size."""
    groups: dict[Size, list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(size, []).append(index)
    return groups
