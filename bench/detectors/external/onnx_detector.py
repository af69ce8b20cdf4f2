"""Any ONNX file as a detector, described by a small YAML: what goes in, what comes out, how boxes are coded.

Needs onnxruntime. The file is `weights=FILE` as for our own detectors, or the `weights` of the detector's YAML.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from bench.boxes.anchors import AnchorGenerator
from bench.boxes.coders import BoxCoder
from bench.detectors.base import Size
from bench.detectors.candidates import Candidates, Images
from bench.detectors.external.base import ExternalDetector
from bench.errors import ConfigError, ImageError, WeightsError
from bench.weights.optional import required

TYPES: dict[str, type] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
CANVAS = "canvas"  # among the outputs: height and width of the padded batch
Activation = Literal["none", "sigmoid", "softmax"]


class OnnxDetector(ExternalDetector):
    """An ONNX graph under onnxruntime.

    Args:
        outputs: names of the graph's outputs under `scores`, `boxes` and, where there are any, `keypoints`: one name,
            or one for each level in the order of the anchors. Each is [B, N, values], [N, values] or a map
            [B, A * values, H, W], anchor-major.
        fixed_size: height and width of a graph of fixed size, to which images are padded; None: any size.
        layout: NCHW or NHWC; channels: RGB or BGR.
        num_classes: of the scores, `background` not counted.
        background: index of the class that stands for nothing; None if there is none.
        activation: what turns the graph's scores into probabilities.
        anchors, coder: how boxes and keypoints are coded; None: `boxes` are corners xyxy already.
        padding: RGB in 0..255 beside an image smaller than its batch; None: `mean`, what is zero after normalisation.
        box_unit: of uncoded boxes: pixels of the input, or fractions of its sides.
        options: what `Detector` takes: mean and std in 0..255 (0 and 1 where the graph normalises), divisor.
    """

    def __init__(
        self,
        outputs: Mapping[str, str | Sequence[str]],
        fixed_size: Sequence[int] | None = None,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        channels: Literal["RGB", "BGR"] = "RGB",
        num_classes: int = 1,
        background: int | None = None,
        activation: Activation = "none",
        anchors: AnchorGenerator | None = None,
        coder: BoxCoder | None = None,
        padding: Sequence[float] | None = None,
        box_unit: Literal["pixels", "fractions"] = "pixels",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.outputs = {key: [names] if isinstance(names, str) else list(names) for key, names in outputs.items()}
        check_description(self.outputs, layout, channels, activation, anchors, coder)
        self.fixed_size = None if fixed_size is None else (int(fixed_size[0]), int(fixed_size[1]))
        self.layout, self.channels = layout, channels
        self.num_classes, self.background, self.activation = num_classes, background, activation
        self.anchors, self.coder, self.box_unit = anchors, coder, box_unit
        self.padding = padding
        self.session: Any = None

    def input_size(self, wanted: Size) -> Size:
        return self.fixed_size or wanted

    def check_device(self, device: str, precision: str) -> None:
        if (device, precision) != ("cpu", "fp32"):
            raise ConfigError(
                f"an ONNX detector runs on the CPU in the precision of its file; expected cpu and fp32, found {device} "
                f"and {precision}"
            )

    def load(self, path: Path, name: str) -> None:
        """Open the graph and check that it has the outputs described.

        Raises:
            WeightsError: no ONNX file, other outputs, or an input of another type.
        """
        ort = required("onnxruntime")
        if not path.is_file():
            raise WeightsError(f"expected the ONNX file of `{name}` at {path}, found none")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        # Its threads would go on spinning after a run and take the cores from PyTorch, which decodes and suppresses.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common ancestor
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{path} cannot be opened by onnxruntime ({reason})") from error
        has = [output.name for output in session.get_outputs()]
        missing = [name for names in self.outputs.values() for name in names if name not in has]
        inputs = session.get_inputs()
        if missing or len(inputs) != 1 or inputs[0].type not in TYPES:
            described = ", ".join(f"{value.name} {value.type}" for value in inputs)
            raise WeightsError(
                f"{path} does not fit `{name}`: outputs {missing or 'none'} are missing, it has {has}; expected one "
                f"input of {', '.join(TYPES)}, found {described}"
            )
        self.session = session

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxDetector":
        raise ConfigError("an ONNX detector cannot be copied: its session belongs to onnxruntime")

    def prepare(self, images: Images, pad_to: Size | None = None) -> tuple[Tensor, Tensor]:
        """As every detector, but padded to `fixed_size` where the graph has one.

        Raises:
            ImageError: an image larger than that.
        """
        for image in images if self.fixed_size else ():
            if any(side > limit for side, limit in zip(image.shape[-2:], self.fixed_size or (), strict=True)):
                raise ImageError(
                    f"this graph takes images of at most {self.fixed_size}, found {tuple(image.shape[-2:])} (height, "
                    "width); choose a protocol that resizes to that"
                )
        batch, sizes = super().prepare(images, self.fixed_size or pad_to)
        if self.padding is not None:
            value = (batch.new_tensor(list(self.padding)).view(3, 1, 1) - self.mean[0]) / self.std[0]
            for row, (height, width) in zip(batch, sizes.tolist(), strict=True):
                row[:, height:] = value
                row[:, :, width:] = value
        return batch, sizes

    def forward(self, images: Tensor) -> dict[str, list[Tensor]]:
        """images [B, 3, H, W] normalised -> the described outputs; a graph of a fixed batch runs image by image."""
        if self.session is None:
            raise ConfigError("expected an ONNX file, found none; give weights=FILE")
        entry = self.session.get_inputs()[0]
        step = entry.shape[0] if isinstance(entry.shape[0], int) else len(images)
        if len(images) % step:
            raise ImageError(f"this graph takes {step} images at once, found {len(images)}")
        names = [name for names in self.outputs.values() for name in names]
        chunks = [
            self.session.run(names, {entry.name: self.fed(chunk, entry.type)}) for chunk in torch.split(images, step)
        ]
        joined = iter(
            torch.cat([with_batch(torch.from_numpy(np.asarray(value)).float(), step) for value in values])
            for values in zip(*chunks, strict=True)
        )
        found = {key: [next(joined).to(images.device) for _ in names] for key, names in self.outputs.items()}
        return {CANVAS: [torch.tensor(images.shape[-2:])], **found}

    def fed(self, images: Tensor, kind: str) -> np.ndarray:
        values = images.flip(1) if self.channels == "BGR" else images
        values = values.permute(0, 2, 3, 1) if self.layout == "NHWC" else values
        if TYPES[kind] is np.uint8:
            values = values.round().clamp(0, 255)
        return np.ascontiguousarray(values.float().cpu().numpy().astype(TYPES[kind], copy=False))

    def candidates(self, outputs: Mapping[str, Sequence[Tensor]], sizes: Tensor) -> Candidates:
        classes = self.num_classes + (self.background is not None)
        scores = self.activated(torch.cat([rows(x, classes) for x in outputs["scores"]], dim=1))
        if self.background is not None:
            scores = torch.cat([scores[..., : self.background], scores[..., self.background + 1 :]], dim=-1)
        boxes = torch.cat([rows(x, 4) for x in outputs["boxes"]], dim=1)  # [B, N, 4]
        points = self.points(outputs.get("keypoints", ()))  # [B, N, 2K] or None
        height, width = (int(side) for side in outputs[CANVAS][0])
        if self.anchors is None or self.coder is None:
            unit = boxes.new_tensor([width, height]) if self.box_unit == "fractions" else boxes.new_ones(2)
            keypoints = None if points is None else points.reshape(*points.shape[:-1], -1, 2) * unit
            return Candidates.dense(boxes * unit.repeat(2), scores, sizes, keypoints)
        anchors = self.anchors((height, width), boxes.device)
        if len(anchors) != boxes.shape[1]:
            raise ConfigError(
                f"the description gives {len(anchors)} anchors for {height}x{width}, the graph {boxes.shape[1]} boxes; "
                "mend strides and sizes of detector.model.anchors"
            )
        keypoints = None if points is None else self.coder.decode_keypoints(anchors, points)
        return Candidates.dense(self.coder.decode(anchors, boxes), scores, sizes, keypoints)

    def activated(self, scores: Tensor) -> Tensor:
        if self.activation == "none":
            return scores
        return scores.sigmoid() if self.activation == "sigmoid" else scores.softmax(dim=-1)

    def points(self, outputs: Sequence[Tensor]) -> Tensor | None:
        """Keypoints of all levels [B, N, 2K]; a map tells K only together with the anchors of its level."""
        if not outputs:
            return None
        counts = self.anchors.per_cell if self.anchors is not None else (1,) * len(outputs)
        pairs = zip(outputs, counts, strict=False)
        return torch.cat([rows(x, x.shape[1] // count if x.ndim == 4 else x.shape[-1]) for x, count in pairs], dim=1)


def rows(values: Tensor, width: int) -> Tensor:
    """[B, N, width], or [B, N] for a width of 1, or a map [B, A * width, H, W] -> [B, N, width].

    Raises:
        ConfigError: another shape.
    """
    if values.ndim == 4 and values.shape[1] % width == 0:
        return values.permute(0, 2, 3, 1).reshape(len(values), -1, width)
    if values.ndim == 2 and width == 1:
        return values.unsqueeze(-1)
    if values.ndim == 3 and values.shape[-1] == width:
        return values
    raise ConfigError(f"expected an output with {width} values an anchor, found {list(values.shape)}")


def with_batch(values: Tensor, images: int) -> Tensor:
    """Some graphs of one image leave its dimension out: the first dimension is then no batch of one."""
    return values if images > 1 or values.shape[0] == 1 else values.unsqueeze(0)


def check_description(
    outputs: Mapping[str, Sequence[str]],
    layout: str,
    channels: str,
    activation: str,
    anchors: AnchorGenerator | None,
    coder: BoxCoder | None,
) -> None:
    if not {"scores", "boxes"} <= set(outputs) <= {"scores", "boxes", "keypoints"}:
        raise ConfigError(f"expected outputs named scores, boxes and maybe keypoints, found {sorted(outputs)}")
    choices: dict[str, tuple[str, tuple[str, ...]]] = {
        "layout": (layout, ("NCHW", "NHWC")),
        "channels": (channels, ("RGB", "BGR")),
    }
    choices["activation"] = activation, ("none", "sigmoid", "softmax")
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(f"expected {key} to be one of {', '.join(allowed)}, found `{value}`")
    if (anchors is None) != (coder is None):
        raise ConfigError("anchors and coder belong together; give both, or neither where boxes come decoded")
