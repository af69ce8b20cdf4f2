"""The protocols of WIDER FACE against their sources: sizes, padding, thresholds, clipping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.config import compose, instantiate, options
from bench.detectors.candidates import Candidates, Images
from bench.errors import ConfigError
from bench.evaluation.evaluation import Evaluation
from bench.metrics.evaluator import Evaluator
from bench.run.build import build_looks, pad_to
from bench.run.data import build_evaluators

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
    return compose("_under_protocol", [f"protocol={name}"]).protocol


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
        batch, sizes = built.prepare([torch.from_numpy(seen).permute(2, 0, 1)], pad_to(protocol))
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
    processor = instantiate(compose("_under_protocol", [f"protocol={name}"]).postprocess.processor)
    assert (processor.score_threshold, processor.suppression.iou_threshold) == (0.02, 0.45)
    assert (processor.max_detections, processor.pre_top_k) == (None, None)

    # Seen at twice its size of 30 x 50. Within the image the second box is the first, and falls; so do scores of 0.02.
    class Detector:
        def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates:
            boxes = torch.tensor([[[20.0, 10, 140, 90], [20, 10, 400, 400], [-30, -40, 10, 12], [0, 0, 5, 5]]])
            scores = torch.tensor([0.9, 0.8, 0.7, 0.02]).view(1, 4, 1)
            return Candidates.dense(boxes, scores, torch.tensor([image.shape[-2:] for image in images]))

    evaluation = Evaluation({"nms": processor}, {"nms": {}})
    image = torch.zeros(3, 60, 100, dtype=torch.uint8)
    evaluation.step(Detector(), [image], [{"image_id": 0, "size": torch.tensor([30, 50])}])
    assert evaluation.predictions["nms"][0]["boxes"].tolist() == [[10, 5, 50, 30], [0, 0, 5, 6]]


def test_the_height_filter_counts_pixels_of_the_original() -> None:
    """TinaFace's 9, under a protocol that resizes: 9 and 8.9 pixels high in the image, seen at a third."""
    config = compose("_under_protocol", ["protocol=wider_vga", "postprocess=nms_height_filter"])
    assert config.postprocess.name == "nms_height_filter"
    evaluation = Evaluation({"nms": instantiate(config.postprocess.processor)}, {"nms": {}}, pad_to(config.protocol))

    class Detector:
        def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates:
            assert pad_to == (640, 640)
            boxes = torch.tensor([[[0.0, 0, 10, 3], [20, 20, 30, 20 + 8.9 / 3]]])
            return Candidates.dense(boxes, torch.full((1, 2, 1), 0.5), torch.tensor([[100, 200]]))

    image = torch.zeros(3, 100, 200, dtype=torch.uint8)
    evaluation.step(Detector(), [image], [{"image_id": 0, "size": torch.tensor([300, 600])}])
    assert evaluation.predictions["nms"][0]["boxes"].tolist() == [[0, 0, 30, 9]]


TRUTHS = {
    "wider_face": {"image_ids": ["e/a"], "boxes": [np.zeros((1, 4))], "counted": {"all": [np.array([True])]}},
}


@pytest.mark.parametrize("name", options("protocol"))
def test_every_protocol_is_complete(name: str) -> None:
    protocol = protocol_of(name)
    assert (protocol.name, protocol.version >= 1) == (name, True)
    looks = build_looks(protocol)
    assert len(looks) == max(1, len(protocol.get("looks") or ()))
    height, width = resized(instantiate(protocol.resize), (768, 1024))
    assert 0 < height <= width
    assert all(side > 0 for side in protocol.cost_size)
    sides = pad_to(protocol)
    assert sides is None or (sides[0] >= height and sides[1] >= width)


@pytest.mark.parametrize("name", options("protocol"))
def test_every_protocol_has_evaluators(name: str, tmp_path: Path) -> None:
    """Built from the truth in a data module's form; what they are called is their own name in the statistics' files."""
    (tmp_path / "annotations.json").write_text(
        '{"images": [{"id": 1}], "categories": [{"id": 1, "name": "face"}], "annotations": []}'
    )
    truth = {**TRUTHS, "coco": {"annotations": tmp_path / "annotations.json"}}
    evaluators = build_evaluators(protocol_of(name), truth)
    assert evaluators
    assert all(key.isidentifier() for key in evaluators)
    for evaluator in evaluators.values():
        assert isinstance(evaluator, Evaluator)
        assert len(evaluator.image_ids) == 1
        assert len(evaluator.ground_truth.content_hash()) == 16
        assert evaluator.per_image()["image_ids"] == []


def test_a_protocol_without_evaluators() -> None:
    protocol = protocol_of("wider_vga")
    protocol.evaluators = {}
    with pytest.raises(ConfigError, match="protocol `wider_vga`: expected evaluators, found none"):
        build_evaluators(protocol, TRUTHS)
