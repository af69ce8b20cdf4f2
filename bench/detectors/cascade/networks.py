"""The three networks of MTCNN (arXiv 1604.02878, fig. 2): P-Net, R-Net and O-Net.

Layer by layer those of the authors' released prototxts: no padding, one PReLU slope a channel, Caffe's pooling, which
rounds up (with floor pooling R-Net and O-Net would end at other sizes). Layers carry the names of the published files.
The paper trains P-Net and R-Net with landmarks too; the released ones have no such head, and inference needs none.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LANDMARKS = 5


class StageOutputs(NamedTuple):
    """What a network says of windows: of N crops [N, values], of P-Net's maps [B, values, H, W]."""

    logits: Tensor  # 2 values: no face, face
    offsets: Tensor  # 4 values: how far each edge lies from the window's, in window sides
    landmarks: Tensor | None  # 10 values: five x, then five y, in 0..1 of the window

    def scores(self) -> Tensor:
        """Probabilities of a face: softmax of two logits, [N] or [B, H, W]."""
        return (self.logits[:, 1].float() - self.logits[:, 0].float()).sigmoid()


class PNet(nn.Module):
    """Windows of 12x12, every second pixel: images [B, 3, H, W] of at least 12x12 -> maps of size `cells`."""

    window, stride = 12, 2

    def __init__(self, landmarks: bool = False) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), Slopes(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), Slopes(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), Slopes(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)
        self.conv4_3 = nn.Conv2d(32, 2 * LANDMARKS, 1) if landmarks else None
        initialise(self)

    def forward(self, images: Tensor) -> StageOutputs:
        x = pooled(self.prelu1(self.conv1(images)), 2)
        x = self.prelu2(self.conv2(x))
        x = self.prelu3(self.conv3(x))
        landmarks = None if self.conv4_3 is None else self.conv4_3(x)
        return StageOutputs(self.conv4_1(x), self.conv4_2(x), landmarks)

    @staticmethod
    def cells(height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the maps of an image."""
        return -(-(height - 2) // 2) - 4, -(-(width - 2) // 2) - 4


class RNet(nn.Module):
    """Crops [N, 3, 24, 24] -> values of each."""

    window = 24

    def __init__(self, landmarks: bool = False) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), Slopes(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), Slopes(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), Slopes(64)
        self.dense4, self.prelu4 = nn.Linear(64 * 3 * 3, 128), Slopes(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)
        self.dense5_3 = nn.Linear(128, 2 * LANDMARKS) if landmarks else None
        initialise(self)

    def forward(self, crops: Tensor) -> StageOutputs:
        x = pooled(self.prelu1(self.conv1(crops)), 3)
        x = pooled(self.prelu2(self.conv2(x)), 3)
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(x.flatten(1)))
        landmarks = None if self.dense5_3 is None else self.dense5_3(x)
        return StageOutputs(self.dense5_1(x), self.dense5_2(x), landmarks)


class ONet(nn.Module):
    """Crops [N, 3, 48, 48] -> values of each, landmarks among them."""

    window = 48

    def __init__(self, dropout: float = 0.25) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), Slopes(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), Slopes(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), Slopes(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), Slopes(128)
        self.dense5, self.prelu5 = nn.Linear(128 * 3 * 3, 256), Slopes(256)
        self.dropout = nn.Dropout(dropout)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 2 * LANDMARKS)
        initialise(self)

    def forward(self, crops: Tensor) -> StageOutputs:
        x = pooled(self.prelu1(self.conv1(crops)), 3)
        x = pooled(self.prelu2(self.conv2(x)), 3)
        x = pooled(self.prelu3(self.conv3(x)), 2)
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dropout(self.dense5(x.flatten(1))))
        return StageOutputs(self.dense6_1(x), self.dense6_2(x), self.dense6_3(x))


def pooled(maps: Tensor, size: int) -> Tensor:
    """Largest of `size` x `size` every second pixel, the last window maybe cut: Caffe rounds up."""
    if size == 2 and is_plain_inference(maps):
        return larger_neighbors(larger_neighbors(maps, 2), 3)
    return F.max_pool2d(maps, size, 2, ceil_mode=True)


def larger_neighbors(maps: Tensor, axis: int) -> Tensor:
    """The larger of every two neighbors along an axis, the last one alone where their number is odd."""
    steps = range(maps.shape[axis])
    first, second = (maps[(slice(None),) * axis + (slice(begin, None, 2),)] for begin in (0, 1))
    if len(steps) % 2 == 0:
        return torch.maximum(first, second)
    pairs = torch.maximum(first.narrow(axis, 0, len(steps) // 2), second)
    return torch.cat([pairs, first.narrow(axis, len(steps) // 2, 1)], dim=axis)


class Slopes(nn.PReLU):
    """PReLU; in inference on a CPU it goes over rows of pixels and not pixel by pixel, three times as fast."""

    def forward(self, maps: Tensor) -> Tensor:
        last = maps.is_contiguous(memory_format=torch.channels_last) if maps.ndim == 4 else False
        if not (last and is_plain_inference(maps)):
            return super().forward(maps)
        batch, channels, height, width = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(batch * height, width * channels)
        found = F.prelu(rows, self.weight.repeat(width))
        return found.view(batch, height, width, channels).permute(0, 3, 1, 2)


def is_plain_inference(maps: Tensor) -> bool:
    """On a CPU, with nothing to differentiate."""
    return maps.device.type == "cpu" and not torch.is_grad_enabled()


def initialise(network: nn.Module) -> None:
    """Caffe's "xavier", uniform by the fan-in, and biases of zero; slopes begin at 0.25, as PReLU's do in torch."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = (3 / module.weight[0].numel()) ** 0.5
            nn.init.uniform_(module.weight, -bound, bound)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def in_chunks(network: nn.Module, crops: Tensor) -> StageOutputs:
    """The outputs of many crops; on a CPU of as many at a time as keep the maps between layers in its cache."""
    parts = [network(part) for part in chunks(crops)]
    if len(parts) == 1:
        return parts[0]
    logits, offsets, landmarks = zip(*parts, strict=True)
    points = None if landmarks[0] is None else torch.cat(landmarks)
    return StageOutputs(torch.cat(logits), torch.cat(offsets), points)


def chunks(crops: Tensor) -> Iterator[Tensor]:
    """Crops [N, 3, s, s] in parts of 36,864 pixels a thread (64 of R-Net, 16 of O-Net); of 64 threads elsewhere."""
    pixels = 64 * 24 * 24 * (torch.get_num_threads() if crops.device.type == "cpu" else 64)
    yield from torch.split(crops, max(1, pixels // (crops.shape[2] * crops.shape[3])))
