"""Multi-scale testing with flip of a real network: against the single-scale protocols, its protocol, and its cost."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bench
from bench.boxes import Nms
from bench.config import compose
from bench.detectors.base import Detector
from bench.detectors.candidates import Prediction
from bench.errors import ConfigError
from bench.evaluation.looks import PLAIN, Look, propose
from bench.evaluation.postprocess import PostProcessor
from bench.records.record import Cost
from bench.run.build import build_evaluation, build_looks, measure_cost
from bench.run.data import build_data
from bench.run.evaluate import run_evaluation
from bench.run.records import cost_of
from bench.weights.onnx.importer import import_onnx
from data_modules.loading.transforms import KeepSize, ResizeLongSide

SWAPS = ((1, 0, 2, 4, 3),)
TWO_SIZES = (Look(ResizeLongSide(80)), Look(ResizeLongSide(80), True, SWAPS))
Noise = Callable[..., list[Tensor]]
Evaluated = Callable[..., list[Prediction]]
Alike = Callable[..., None]


def protocol_of(name: str) -> Any:
    return compose("_under_protocol", [f"protocol={name}"]).protocol


def test_one_look_is_the_plain_protocol(
    detector: Detector, noise: Noise, evaluated: Evaluated, assert_alike: Alike
) -> None:
    """Resized by the data module or by the look: the same boxes, of images of three shapes in one batch."""
    images = noise((50, 70), (64, 41), (50, 70), (33, 90))
    rule = ResizeLongSide(96)
    plain = evaluated(detector, images, rule, (96, 96))
    assert_alike(plain, evaluated(detector, images, KeepSize(), (96, 96), [Look(rule)]))


def test_a_mirrored_look_of_a_mirrored_image(
    detector: Detector, noise: Noise, evaluated: Evaluated, assert_alike: Alike
) -> None:
    image = noise((64, 90))[0]
    plain = detector.predict([image])
    found = evaluated(detector, [image.flip(-1)], KeepSize(), None, [Look(None, True, SWAPS)])
    for prediction in plain:
        prediction["boxes"] = prediction["boxes"][:, [2, 1, 0, 3]]
        prediction["boxes"][:, [0, 2]] = 90 - prediction["boxes"][:, [0, 2]]
        prediction["keypoints"] = prediction["keypoints"][:, [1, 0, 2, 4, 3]]
        prediction["keypoints"][..., 0] = 90 - prediction["keypoints"][..., 0]
    assert_alike(plain, found, atol=1e-4)


def test_looks_add_up(detector: Detector, noise: Noise) -> None:
    """Without suppression, two looks find what each of them finds."""
    everything = PostProcessor(Nms(1.0), score_threshold=0.0)
    images, sizes = noise((40, 64)), torch.tensor([[40, 64]])
    looks = [Look(ResizeLongSide(64), False, SWAPS), Look(ResizeLongSide(96), True, SWAPS)]
    with torch.no_grad():
        alone = [everything(propose(detector, images, sizes, None, [look]))[0] for look in looks]
        together = everything(propose(detector, images, sizes, None, looks))[0]
    scores = torch.cat([found["scores"] for found in alone])
    order = scores.argsort(descending=True, stable=True)
    assert torch.equal(together["scores"], scores[order])
    assert torch.equal(together["boxes"], torch.cat([found["boxes"] for found in alone])[order])


@pytest.mark.parametrize(
    ("looks", "pad_to"), [(PLAIN, None), (PLAIN, (64, 64)), (TWO_SIZES, None), (TWO_SIZES, (64, 64))]
)
def test_an_image_does_not_depend_on_its_neighbors(
    looks: Sequence[Look],
    pad_to: tuple[int, int] | None,
    detector: Detector,
    noise: Noise,
    evaluated: Evaluated,
    assert_alike: Alike,
) -> None:
    """Only images that come to one size share a batch, also where they or their looks are larger than `pad_to`."""
    images = noise((40, 64), (96, 33), (40, 64), (64, 64), (64, 96))
    together = evaluated(detector, images, KeepSize(), pad_to, looks)
    alone = [evaluated(detector, [image], KeepSize(), pad_to, looks)[0] for image in images]
    assert_alike(together, alone, atol=1e-5)
    if looks is PLAIN and pad_to is None:
        assert_alike(detector.predict(images), together, atol=1e-5)


def test_the_cost_is_the_sum_over_the_looks() -> None:
    """Long sides of 640, 1280 and 1920, plain and mirrored: 2 (1 + 4 + 9) = 28 times VGA, as the protocol says."""
    detector = bench.create_detector("scrfd_tiny")
    found = measure_cost(detector, protocol_of("wider_multi_scale"))
    vga = detector.complexity((480, 640))
    assert found is not None
    assert vga is not None
    cost = cost_of(found)
    assert cost.macs == sum(cost.macs_by_component.values()) == 28 * vga.macs
    assert (cost.params, cost.flops) == (vga.params, 56 * vga.macs)
    assert found.norm_elements == 28 * vga.norm_elements
    assert cost.input_size == (1440, 1920)
    assert [height for height, _ in cost.looks] == [480, 480, 960, 960, 1440, 1440]
    assert Cost.model_validate_json(cost.model_dump_json(), strict=True) == cost
    assert measure_cost(detector, protocol_of("wider_vga")) == vga
    assert vga.looks == ()


@pytest.mark.parametrize("protocol", ["wider_vga", "wider_multi_scale"])
def test_what_is_not_counted_has_no_cost(protocol: str) -> None:
    assert measure_cost(bench.create_detector("external/scrfd_exported"), protocol_of(protocol)) is None


def test_cost_sizes_of_looks_follow_from_their_rule() -> None:
    """A 3:4 image at the long side of the look."""
    protocol = protocol_of("wider_multi_scale")
    for node, look in zip(protocol.looks, build_looks(protocol), strict=True):
        assert look.resize is not None
        assert look.resize.pixels(np.zeros((768, 1024, 3), np.uint8)).shape[:2] == tuple(node.cost_size)
        assert look.flip == node.flip
        assert look.swap(5) == [1, 0, 2, 4, 3]
        assert look.swap(6) == [1, 0, 2, 3, 5, 4]


def test_looks_that_are_none_are_refused() -> None:
    protocol = protocol_of("wider_multi_scale")
    protocol.looks[0].resize = {"_target_": "data_modules.loading.transforms.HorizontalFlip"}
    with pytest.raises(ConfigError, match="a method `pixels`, found HorizontalFlip"):
        build_looks(protocol)
    protocol.looks[0] = {"resize": None, "flip": True}  # found before the evaluation, not after it
    with pytest.raises(ConfigError, match=r"every look of wider_multi_scale, found no \['cost_size'\]"):
        build_looks(protocol)


def test_metrics_of_one_look_on_real_images(shared: Path, assert_alike: Alike) -> None:
    """The published 0.5G weights under wider_vga, resized by the data module or by the only look."""
    detector = bench.create_detector("scrfd_0.5g_kps")
    source = shared / "weights" / "scrfd_500m_kps.onnx"
    detector.load_state_dict(import_onnx(detector, source, "scrfd_0.5g_kps"))
    data = ["data=wider_face", f"data.root={shared / 'data' / 'wider_face'}", "data.val_images=6", "data.num_workers=0"]
    rule = "{_target_: data_modules.loading.transforms.ResizeLongSide, size: 640}"
    look = f"+protocol.looks=[{{resize: {rule}, flip: false, cost_size: [480, 640]}}]"
    keep = ["~protocol.resize.size", "protocol.resize._target_=data_modules.loading.transforms.KeepSize", look]
    metrics, found = [], []
    for changes in ([], keep):
        config = compose("evaluate", ["detector=scrfd_0.5g_kps", *data, "trainer=cpu", *changes])
        module = build_data(config, config.protocol)
        module.setup("validate")
        evaluation = build_evaluation(module, config.protocol, [config.postprocess])
        metrics.append(run_evaluation(detector, module, evaluation, config)["nms"])
        found.append(evaluation.predictions["nms"])
    assert metrics[0]["AP_easy"] > 0.5
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-4)
    assert_alike(list(found[0].values()), [found[1][image] for image in found[0]], atol=0.01)
