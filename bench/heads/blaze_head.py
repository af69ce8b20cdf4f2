"""BlazeFace's head (arXiv 1907.05047): every level has its own convolutions, straight from features to numbers.

The paper does not give the kernel; 1x1 is what MediaPipe's released weights have. There, one convolution gives box and
keypoints together, 4 + 2K channels an anchor; here these are two, with the same parameters and MACs.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.errors import ConfigError
from bench.heads.outputs import HeadOutputs
from bench.layers.prior import prior_bias


class BlazeHead(nn.Module):
    """Per level, class logits, box deltas and keypoint deltas; the anchor is the outer index: channel = a * C + c.

    `prior` is the score that the classifier starts from on every anchor (RetinaNet, section 4.1).
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (96, 96),
        anchors_per_cell: Sequence[int] = (2, 6),
        num_classes: int = 1,
        num_keypoints: int = 6,
        kernel_size: int = 1,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        if len(in_channels) != len(anchors_per_cell):
            raise ConfigError(
                f"BlazeHead: expected as many levels in in_channels as in anchors_per_cell, found {tuple(in_channels)} "
                f"and {tuple(anchors_per_cell)}"
            )
        if kernel_size % 2 == 0 or not 0 < prior < 1:
            raise ConfigError(f"BlazeHead: expected an odd kernel_size and 0 < prior < 1, found {kernel_size}, {prior}")
        self.num_classes = num_classes
        self.num_keypoints = num_keypoints

        def per_level(numbers: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Conv2d(channels, anchors * numbers, kernel_size, padding=kernel_size // 2)
                for channels, anchors in zip(in_channels, anchors_per_cell, strict=True)
            )

        self.classifiers = per_level(num_classes)
        self.boxes = per_level(4)
        self.keypoints = per_level(2 * num_keypoints) if num_keypoints else None
        self._reset_parameters(prior)

    def _reset_parameters(self, prior: float) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=0.01)
            else:
                nn.init.constant_(parameter, prior_bias(prior) if name.startswith("classifiers") else 0.0)

    def forward(self, features: list[Tensor]) -> HeadOutputs:
        """features [B, C, H, W] -> (logits [B, A*classes, H, W], boxes [B, A*4, H, W], keypoints [B, A*2K, H, W])."""
        logits = [conv(feature) for conv, feature in zip(self.classifiers, features, strict=True)]
        boxes = [conv(feature) for conv, feature in zip(self.boxes, features, strict=True)]
        if self.keypoints is None:
            return HeadOutputs(logits, boxes)
        keypoints = [conv(feature) for conv, feature in zip(self.keypoints, features, strict=True)]
        return HeadOutputs(logits, boxes, keypoints)
