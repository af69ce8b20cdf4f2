"""The ways to run one detector that `inference.py` times: each takes the same images and must find the same numbers."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

import bench
from bench.detectors.base import Detector
from bench.detectors.candidates import Prediction
from bench.detectors.external.onnx_detector import CANVAS
from bench.detectors.optimize import compile_forward, optimized
from bench.errors import BenchError, ConfigError, WeightsError
from bench.weights.onnx.export import export_onnx
from bench.weights.onnx.importer import import_onnx

SIZE = (640, 640)
TOLERANCE = 1e-3  # of raw outputs, relative above 1, as the largest difference from eager
Images = list[Tensor]  # uint8 [3, h, w] each


@dataclass
class Row:
    """One way: `feed` is what the network takes, prepared beforehand; `forward` is timed, and apart from it `whole`."""

    name: str
    feed: Callable[[Images], Any]
    forward: Callable[[Any], Any]
    whole: Callable[[Any, Tensor], list[Prediction]]  # the same and post-processing; feed and sizes of the images
    raw: Callable[[Any], dict[str, np.ndarray]]  # forward's result by the names of the exported outputs
    setup_s: float | None = None  # of its first call, compilation included
    difference: float | None = None
    absent: str | None = None  # why there is nothing to time


@dataclass
class Rows:
    """All rows of one detector, made from its published file.

    Args:
        name: of our detector.
        published: the ONNX file.
        folder: for the files that are made.
    """

    name: str
    published: Path
    folder: Path
    detector: Detector = field(init=False)

    def __post_init__(self) -> None:
        self.detector = bench.create_detector(self.name)
        self.detector.load_state_dict(import_onnx(self.detector, self.published, self.name))

    def build(self) -> list[Row]:
        """The published file first: what the others are compared with."""
        ours = self.folder / f"{self.name}.onnx", self.folder / f"{self.name}_blocks.onnx"
        export_onnx(self.detector, ours[0])  # type: ignore[arg-type]
        export_onnx(self.detector, ours[1], channel_block=16)  # type: ignore[arg-type]
        whole = copy.deepcopy(self.detector)
        return [
            onnx_row("onnxruntime, published file", f"external/{self.name}_onnx", self.published),
            onnx_row("onnxruntime, our export, normalising inside", "external/scrfd_exported", ours[0]),
            onnx_row("onnxruntime, the same with channel_block=16", "external/scrfd_exported", ours[1]),
            torch_row("PyTorch eager", self.detector),
            torch_row("PyTorch, norms folded, channels last", optimized(self.detector, "folded")),
            made("torch.compile", lambda: compiled(whole)),
            made("torch.compile, norms folded, channels last", lambda: optimized(self.detector, "compiled")),
        ]


def compiled(detector: Detector) -> Detector:
    compile_forward(detector)
    return detector


def made(name: str, make: Callable[[], Detector]) -> Row:
    """A row that cannot be made everywhere: it says why not."""
    try:
        return torch_row(name, make())
    except ConfigError as error:
        return Row(name, *(4 * [_nothing]), absent=str(error))


def _nothing(*_: Any) -> Any:
    raise AssertionError("a row that is absent was run")


def torch_row(name: str, detector: Detector) -> Row:
    def whole(batch: Tensor, sizes: Tensor) -> list[Prediction]:
        return detector.postprocess(detector.candidates(detector(batch), sizes))

    def raw(outputs: Any) -> dict[str, np.ndarray]:
        return {key: value.numpy() for key, value in detector.graph_outputs(outputs).items()}

    return Row(name, lambda images: detector.prepare(images, SIZE)[0], detector, whole, raw)


def onnx_row(name: str, description: str, path: Path) -> Row:
    """A graph whose batch is fixed runs image by image. `forward` has onnxruntime's own settings; `whole` those of our
    `OnnxDetector`, whose threads do not spin on while PyTorch decodes and suppresses."""
    detector: Any = bench.create_detector(description, weights=path)
    (entry,), kinds = detector.session.get_inputs(), detector.outputs
    names = [output for outputs in kinds.values() for output in outputs]
    fixed = isinstance(entry.shape[0], int)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, torch.get_num_threads()
    alone = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def feed(images: Images) -> list[np.ndarray]:
        batch = detector.prepare(images, SIZE)[0].numpy()
        return np.split(batch, len(batch) // entry.shape[0]) if fixed else [batch]

    def forward(batches: list[np.ndarray], session: Any = alone) -> list[list[np.ndarray]]:
        return [session.run(names, {entry.name: batch}) for batch in batches]

    def joined(found: list[list[np.ndarray]]) -> list[np.ndarray]:
        return [values[0] if len(values) == 1 else np.concatenate(values) for values in zip(*found, strict=True)]

    def whole(batches: list[np.ndarray], sizes: Tensor) -> list[Prediction]:
        outputs = iter(torch.from_numpy(values) for values in joined(forward(batches, detector.session)))
        by_kind = {kind: [next(outputs) for _ in members] for kind, members in kinds.items()}
        return detector.postprocess(detector.candidates({CANVAS: [torch.tensor(SIZE)], **by_kind}, sizes))

    def raw(found: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
        strides = detector.anchors.strides if detector.anchors else ()
        keys = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in strides]
        return dict(zip(keys, joined(found), strict=True))

    note = " (image by image: its batch is fixed)" if fixed else ""
    return Row(name + note, feed, forward, whole, raw)


def check(rows: Sequence[Row], images: Images) -> None:
    """Run each row once on `images`, note what its first call takes, and hold its raw outputs against eager's.

    Raises:
        BenchError: a row that computes something else.
    """
    reference = next(row for row in rows if row.name == "PyTorch eager")
    expected = reference.raw(reference.forward(reference.feed(images)))
    for row in rows:
        if row.absent is not None:
            continue
        fed = row.feed(images)
        clock = time.perf_counter()
        try:
            outputs = row.forward(fed)
        except BenchError:
            raise
        except Exception as error:  # inductor's errors have no common ancestor
            row.absent = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            continue
        row.setup_s = time.perf_counter() - clock
        row.difference = difference(expected, row.raw(outputs))
        if not row.difference <= TOLERANCE:
            raise WeightsError(f"{row.name} differs from eager by {row.difference:.2g} > {TOLERANCE}; nothing is timed")


def difference(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    """The largest of all outputs, relative where the expected number is above 1."""
    return max(
        float((np.abs(found[key] - values) / np.maximum(np.abs(values), 1)).max()) for key, values in expected.items()
    )
