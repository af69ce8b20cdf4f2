"""A dense detector as an ONNX file: any batch and size, named outputs, normalisation inside, checked before it is kept.

Input `images`: RGB in 0..255, [batch, 3, height, width], sides multiples of the detector's divisor. Outputs for each
stride S: `score_S` [batch, anchors, classes] probabilities, `bbox_S` [batch, anchors, 4] and `kps_S` [batch, anchors,
2 K] as the head gives them, coded (SCRFD: in strides). Rows run over height, width, anchor of the cell. Boxes are left
coded so that decoding and suppression stay outside, as in the published files.
"""

import copy
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from bench.errors import ConfigError, WeightsError
from bench.weights.files import whole
from bench.weights.module_graph import module_operators
from bench.weights.onnx.simplify import simplify
from bench.weights.operators import INPUT
from bench.weights.optional import required

OPSET = 17
TOLERANCE = 1e-4  # relative above 1, absolute below
InputType = Literal["float", "uint8"]
DTYPES = {"float": torch.float32, "uint8": torch.uint8}


class Exportable(Protocol):
    """What an export asks of a detector, which is an `nn.Module` besides: see `bench.detectors.base.Detector`."""

    divisor: int
    mean: Tensor  # [1, 3, 1, 1]
    std: Tensor  # [1, 3, 1, 1]

    def check_exportable(self) -> None: ...
    def graph_outputs(self, outputs: Any) -> dict[str, Tensor]: ...


class ExportedDetector(nn.Module):
    """What the ONNX graph computes; `images` [B, 3, H, W] in 0..255 -> scores, boxes, keypoints of every stride."""

    def __init__(self, detector: Exportable, fold: bool = True) -> None:
        super().__init__()
        assert isinstance(detector, nn.Module)
        self.detector = copy.deepcopy(detector).float().cpu().eval()
        self.divide = not (fold and fold_std(self.detector))
        means = set(self.detector.mean.flatten().tolist())
        self.mean = means.pop() if len(means) == 1 else None  # a runtime subtracts one number faster than three

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        centered = images.float() - (self.detector.mean if self.mean is None else self.mean)
        outputs = self.detector(centered / self.detector.std if self.divide else centered)
        return tuple(self.detector.graph_outputs(outputs).values())

    def output_names(self) -> list[str]:
        side = 2 * self.detector.divisor
        with torch.no_grad():
            return list(self.detector.graph_outputs(self.detector(torch.zeros(1, 3, side, side))))


def fold_std(detector: Exportable) -> bool:
    """Move the division by `std` into the first convolution, if that alone reads the image; whether it did.

    The mean cannot move: a convolution pads with zero, which is the mean only after the subtraction.
    """
    assert isinstance(detector, nn.Module)
    try:
        readers = [(own, place) for own, place in module_operators(detector) if INPUT in own.sources]
    except WeightsError:  # not traceable, so nobody knows who reads the image
        return False
    if len(readers) != 1 or readers[0][0].kind != "conv" or readers[0][0].through:
        return False
    detector.get_parameter(readers[0][1].weight).data /= detector.std.view(1, 3, 1, 1)
    return True


def export_onnx(
    detector: Exportable,
    path: Path,
    input_type: InputType = "float",
    simplified: bool = True,
    channel_block: int = 1,
) -> float:
    """Write `path` and return the largest difference between its outputs under onnxruntime and the module's.

    Args:
        simplified: rewrite the graph for speed (`simplify`); otherwise it has the module's own convolutions.
        channel_block: fill up maps with zero channels to a multiple of this; 16 suits onnxruntime under AVX-512.

    Raises:
        ConfigError: an unknown type of input, no block of channels, or a package that is missing.
        WeightsError: the detector cannot be exported, or the graph computes something else; nothing is written then.
    """
    if input_type not in DTYPES:
        raise ConfigError(f"expected input_type to be one of {', '.join(DTYPES)}, found `{input_type}`")
    if channel_block < 1:
        raise ConfigError(f"expected channel_block of at least 1, found {channel_block}")
    assert isinstance(detector, nn.Module)
    detector.check_exportable()
    moving = [key for key, module in detector.named_modules() if isinstance(module, DeformConv2d)]
    if moving:  # the exporter would print the whole graph before it fails
        raise WeightsError(
            f"expected convolutions that ONNX has at opset {OPSET}, found {len(moving)} deformable ones "
            f"({moving[0]}, ...); a detector without them can be exported, such as tinaface in place of tinaface_dcn"
        )
    for package in ("onnx", "onnxruntime"):
        required(package)
    module = ExportedDetector(detector).eval()
    names = module.output_names()
    with whole(path) as temporary:
        _export(module, temporary, names, input_type)
        if simplified:
            rewrite(temporary, detector.divisor, channel_block)
        difference = largest_difference(detector, temporary, input_type)
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"the exported graph differs from the module by {difference:.2g} > {TOLERANCE}; not kept"
            )
    return difference


def _export(module: ExportedDetector, path: Path, names: Sequence[str], input_type: InputType) -> None:
    """By tracing: the exporter over torch.export needs onnxscript, and what it would add is not needed here."""
    axes = {name: {0: "batch", 1: f"anchors_{name.split('_')[1]}"} for name in names}
    axes["images"] = {0: "batch", 2: "height", 3: "width"}
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):  # a failure would print the whole graph
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (noise((2, 3, 3 * module.detector.divisor, 4 * module.detector.divisor), input_type),),
                str(path),
                input_names=["images"],
                output_names=list(names),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's errors have no common ancestor
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{type(module.detector.backbone).__name__} detector cannot be exported: {reason}"
        ) from error


def rewrite(path: Path, divisor: int, channel_block: int) -> None:
    onnx = required("onnx")
    model = onnx.load(str(path))
    simplify(model, divisor, channel_block)
    onnx.save(model, str(path))


def largest_difference(detector: Exportable, path: Path, input_type: InputType) -> float:
    """Over batches and sizes other than the traced one; relative to the reference where that is above 1.

    Compared with the detector as it is, not with the copy that was traced.
    """
    ort = required("onnxruntime")
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    side, worst = detector.divisor, 0.0
    reference = ExportedDetector(detector, fold=False)
    for shape in ((1, 3, 5 * side, 3 * side), (3, 3, 2 * side, 2 * side)):
        images = noise(shape, input_type)
        with torch.no_grad():
            expected = reference(images)
        for own, other in zip(expected, session.run(None, {"images": images.numpy()}), strict=True):
            worst = max(worst, float((np.abs(own.numpy() - other) / np.maximum(np.abs(own.numpy()), 1)).max()))
    return worst


def noise(shape: Sequence[int], input_type: InputType) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, tuple(shape), generator=generator).to(DTYPES[input_type])
