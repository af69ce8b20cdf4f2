"""The protocols of WIDER FACE against their sources: sizes, padding, thresholds, clipping."""

from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.config import compose, instantiate, options
from bench.detectors.evaluation import Evaluation
from bench.detectors.postprocess import Candidates
from bench.grid.build import build_views

SINGLE = ["wider_vga", "wider_original", "wider_1650"]
SIZES = [
    (683, 1024),
    (768, 1024),
    (1385, 1024),
    (1024, 1024),
    (640, 640),
    (97, 1024),
    (33, 31),
    (2000, 1500),
    (427, 641),
]


def protocol_of(name: str) -> Any:
    return compose("model", [f"protocol={name}"]).protocol


def resized(rule: Any, size: tuple[int, int]) -> tuple[int, int]:
    height, width = rule.pixels(np.zeros((*size, 3), np.uint8)).shape[:2]
    return height, width


def rescaled(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """The rule of mmcv, by which the sources resize: one factor for both sides, halves rounded up."""
    height, width = size
    factor = min(long / max(height, width), short / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


@pytest.mark.parametrize("size", SIZES)
def test_resized_as_the_sources_do(size: tuple[int, int]) -> None:
    vga, original, large = (instantiate(protocol_of(name).resize) for name in SINGLE)
    assert resized(vga, size) == rescaled(size, 640, 640)
    assert resized(original, size) == size
    assert resized(large, size) == rescaled(size, 1100, 1650)


def test_sizes_by_hand() -> None:
    vga, large = (instantiate(protocol_of(name).resize) for name in ("wider_vga", "wider_1650"))
    assert resized(vga, (683, 1024)) == (427, 640)  # 426.875
    assert resized(vga, (50, 100)) == (320, 640)  # small images grow
    assert resized(vga, (2, 256)) == (5, 640)
    assert resized(vga, (3, 256)) == (8, 640)  # 7.5, up
    assert resized(large, (683, 1024)) == (1100, 1649)  # 1100 / 683 < 1650 / 1024; 1649.19
    assert resized(large, (576, 1024)) == (928, 1650)  # the long side decides; 928.125
    assert resized(large, (1536, 1024)) == (1650, 1100)


@pytest.mark.parametrize("detector", ["scrfd_0.5g", "tinaface"])
def test_padded_with_what_is_zero_after_normalisation(detector: str) -> None:
    """To 640x640 under wider_vga, otherwise to the next multiple of 32; to the right and below."""
    built = bench.create_detector(detector)
    mean, std = ((127.5,) * 3, 128.0) if detector == "scrfd_0.5g" else ((123.675, 116.28, 103.53), 1.0)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 101, 3), dtype=np.uint8)
    shapes = {"wider_vga": (640, 640), "wider_original": (96, 128), "wider_1650": (1120, 1600)}  # 1100 x 1587
    for name, shape in shapes.items():
        protocol = protocol_of(name)
        seen = instantiate(protocol.resize).pixels(pixels)
        batch, sizes = built.prepare([torch.from_numpy(seen).permute(2, 0, 1)], protocol.pad_to)
        assert tuple(batch.shape[-2:]) == shape
        height, width = sizes[0].tolist()
        assert (height, width) == seen.shape[:2]
        expected = (seen.astype(np.float32) - np.array(mean, np.float32)) / np.float32(std)
        np.testing.assert_allclose(batch[0, :, :height, :width].permute(1, 2, 0).numpy(), expected, atol=1e-4)
        assert not batch[0, :, height:].any()
        assert not batch[0, :, :, width:].any()


@pytest.mark.parametrize("name", [*SINGLE, "wider_multi_scale"])
def test_one_threshold_one_suppression_no_cap(name: str) -> None:
    """SCRFD's 0.02 and 0.45; boxes are cut at the image, whatever the padding, before they meet."""
    processor = instantiate(compose("model", [f"protocol={name}"]).postprocess.processor)
    assert (processor.score_threshold, processor.suppression.iou_threshold) == (0.02, 0.45)
    assert (processor.max_detections, processor.pre_top_k) == (None, None)
    # Seen at twice its size of 30 x 50. Within the image the second box is the first, and falls; so do scores of 0.02.
    boxes = torch.tensor([[[20.0, 10, 140, 90], [20, 10, 400, 400], [-30, -40, 10, 12], [0, 0, 5, 5]]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.02]).view(1, 4, 1)
    collected: list[Any] = []

    class Evaluator:
        def update(self, predictions: Any, targets: Any) -> None:
            collected.extend(predictions)

    evaluation = Evaluation({"nms": processor}, {"nms": Evaluator()})  # type: ignore[dict-item]
    target = {"image_id": 0, "scale": torch.tensor([2.0, 2.0])}
    evaluation.update(Candidates(boxes, scores, None, torch.tensor([[60, 100]])), [target])
    assert collected[0]["boxes"].tolist() == [[10, 5, 50, 30], [0, 0, 5, 6]]


@pytest.mark.parametrize("name", options("protocol"))
def test_every_protocol_is_complete(name: str) -> None:
    protocol = protocol_of(name)
    assert (protocol.name, protocol.version >= 1) == (name, True)
    assert len(build_views(protocol)) == len(protocol.get("views") or ())
    height, width = resized(instantiate(protocol.resize), (768, 1024))
    assert 0 < height <= width
    assert all(side > 0 for side in protocol.input_size)
