"""Multi-scale testing with flip: views by hand, against the single-scale protocols, and their cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bench
from bench.boxes import Nms
from bench.config import compose
from bench.cost.complexity import measure_complexity
from bench.detectors.base import Detector
from bench.detectors.evaluation import Evaluation
from bench.detectors.multi_scale import View, by_size, propose
from bench.detectors.postprocess import Candidates, PostProcessor
from bench.errors import ConfigError
from bench.grid.build import build_data, build_evaluation, build_views, measure_cost
from bench.grid.records import cost_of
from bench.grid.run import run_evaluation
from bench.report.records import Cost
from bench.weights.onnx_import import import_onnx
from data_modules.transforms import KeepSize, ResizeLongSide, Sample

SWAPS = ((1, 0, 2, 4, 3), (1, 0, 2, 3, 5, 4))
PLAIN, MIRROR = View(KeepSize(), False, SWAPS), View(KeepSize(), True, SWAPS)


def noise(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


def with_square(height: int, width: int, left: int, top: int, right: int, bottom: int) -> Tensor:
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, top:bottom, left:right] = 255
    return image


def find_squares(images: Any, pad_to: tuple[int, int] | None) -> Candidates:
    """A detector that finds the one bright square of an image, its corners and centre as five landmarks."""
    boxes, points = [], []
    for image in images:
        assert image.dtype == torch.uint8
        rows, columns = (image[0] > 128).nonzero(as_tuple=True)
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        boxes.append([left, top, right, bottom])
        middle = [(left + right) / 2, (top + bottom) / 2]
        points.append([[left, top], [right, top], middle, [left, bottom], [right, bottom]])
    sizes = torch.tensor([image.shape[-2:] for image in images])
    return Candidates(
        torch.tensor(boxes).float()[:, None], torch.full((len(boxes), 1, 1), 0.9), torch.tensor(points)[:, None], sizes
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, but it reports everything, its scores spread out; in double precision."""
    torch.manual_seed(3)
    detector = bench.create_detector("scrfd_tiny").double()
    for parameter in detector.head.parameters():  # type: ignore[union-attr]
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    detector.postprocess = replace(detector.postprocess, score_threshold=0.0)
    return detector


@dataclass
class Collected:
    """In place of an evaluator."""

    predictions: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def update(self, predictions: Sequence[dict[str, Tensor]], targets: Sequence[dict[str, Any]]) -> None:
        self.predictions |= {target["image_id"]: found for target, found in zip(targets, predictions, strict=True)}


def evaluated(
    detector: Detector, images: list[Tensor], rule: Any, pad_to: tuple[int, int] | None, views: Sequence[View] = ()
) -> list[dict[str, Tensor]]:
    """Predictions in the pixels of `images`, resized by `rule` as a data module does, in one validation step."""
    batch: dict[str, list[Any]] = {"images": [], "targets": []}
    for number, image in enumerate(images):
        resized = torch.from_numpy(rule.pixels(image.permute(1, 2, 0).numpy().copy())).permute(2, 0, 1)
        scale = torch.tensor([resized.shape[i] / image.shape[i] for i in (2, 1)])
        batch["images"].append(resized)
        batch["targets"].append({"image_id": str(number), "scale": scale})
    collected = Collected()
    detector.evaluation = Evaluation({"nms": detector.postprocess}, {"nms": collected}, pad_to, views)  # type: ignore[dict-item]
    with torch.no_grad():
        detector.validation_step(batch, 0)
    return [collected.predictions[str(number)] for number in range(len(images))]


def assert_alike(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]], atol: float = 1e-3) -> None:
    assert min(len(found["scores"]) for found in one) > 5
    for a, b in zip(one, other, strict=True):
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(a[key], b[key], atol=atol, rtol=1e-5)


def test_a_view_goes_back_to_its_image() -> None:
    """Seen at 80 x 120, the image is 40 x 60: mirrored, x = 10 is 120 - 10 = 110, and 55 in the image."""
    points = torch.tensor([[10.0, 20], [30, 20], [20, 30], [12, 36], [28, 38]]).view(1, 1, 5, 2)
    found = Candidates(torch.tensor([[[10.0, 20, 30, 40]]]), torch.tensor([[[0.5]]]), points, torch.tensor([[80, 120]]))
    plain = PLAIN.to_image(found, torch.tensor([[40, 60]]))
    assert plain.boxes.tolist() == [[[5, 10, 15, 20]]]
    assert plain.sizes.tolist() == [[40, 60]]
    mirrored = MIRROR.to_image(found, torch.tensor([[40, 60]]))
    assert mirrored.boxes.tolist() == [[[45, 10, 55, 20]]]
    assert mirrored.keypoints is not None
    # What was the right eye of the mirrored face is the left eye.
    assert mirrored.keypoints.tolist() == [[[[45, 10], [55, 10], [50, 15], [46, 19], [54, 18]]]]
    uneven = PLAIN.to_image(found, torch.tensor([[40, 240]]))  # sides scaled by 2 and by 1/2
    assert uneven.boxes.tolist() == [[[20, 10, 60, 20]]]


def test_every_view_finds_the_same_place() -> None:
    views = [PLAIN, MIRROR, View(ResizeLongSide(120), False, SWAPS), View(ResizeLongSide(120), True, SWAPS)]
    images = [with_square(40, 60, 10, 5, 20, 17), with_square(40, 60, 31, 20, 50, 38)]
    found = propose(find_squares, images, None, views)
    assert found.boxes.tolist() == [[[10, 5, 20, 17]] * 4, [[31, 20, 50, 38]] * 4]
    assert found.keypoints is not None
    assert found.keypoints[0].tolist() == [[[10, 5], [20, 5], [15, 11], [10, 17], [20, 17]]] * 4
    assert found.scores.shape == (2, 4, 1)
    (first, _) = PostProcessor(Nms(0.5))(found)
    assert first["boxes"].tolist() == [[10, 5, 20, 17]]  # one suppression over all views


def test_keypoints_are_swapped_by_their_number() -> None:
    six = torch.arange(12.0).view(1, 1, 6, 2)
    found = Candidates(torch.zeros(1, 1, 4), torch.ones(1, 1, 1), six, torch.tensor([[20, 20]]))
    moved = MIRROR.to_image(found, found.sizes)
    assert moved.keypoints is not None
    assert moved.keypoints[0, 0, :, 1].tolist() == [3, 1, 5, 7, 11, 9]
    four = replace(found, keypoints=six[:, :, :4])
    with pytest.raises(ConfigError, match=r"order of 4 keypoints among protocol\.keypoint_swaps, found \[\[1, 0, 2, 4"):
        MIRROR.to_image(four, found.sizes)
    none = replace(found, keypoints=six[:, :, :0])
    assert MIRROR.to_image(none, found.sizes).keypoints.shape == (1, 1, 0, 2)  # type: ignore[union-attr]


def test_one_view_is_the_plain_protocol(detector: Detector) -> None:
    """Suppressed in the pixels of the image or of the view: the same boxes, of images of three shapes in one batch."""
    images = noise((50, 70), (64, 41), (50, 70), (33, 90))
    rule = ResizeLongSide(96)
    plain = evaluated(detector, images, rule, (96, 96))
    assert_alike(plain, evaluated(detector, images, KeepSize(), (96, 96), [View(rule)]))


def test_a_mirrored_view_of_a_mirrored_image(detector: Detector) -> None:
    image = noise((64, 90))[0]
    plain = detector.predict([image])
    found = detector.predict([image.flip(-1)], views=[MIRROR])
    for prediction in plain:
        prediction["boxes"] = prediction["boxes"][:, [2, 1, 0, 3]]
        prediction["boxes"][:, [0, 2]] = 90 - prediction["boxes"][:, [0, 2]]
        prediction["keypoints"] = prediction["keypoints"][:, [1, 0, 2, 4, 3]]
        prediction["keypoints"][..., 0] = 90 - prediction["keypoints"][..., 0]
    assert_alike(plain, found, atol=1e-4)


def test_views_add_up(detector: Detector) -> None:
    """Without suppression, two views find what each of them finds."""
    everything = PostProcessor(Nms(1.0), score_threshold=0.0)
    images = noise((40, 64))
    views = [View(ResizeLongSide(64), False, SWAPS), View(ResizeLongSide(96), True, SWAPS)]
    with torch.no_grad():
        alone = [everything(propose(detector.raw, images, None, [view]))[0] for view in views]
        together = everything(propose(detector.raw, images, None, views))[0]
    scores = torch.cat([found["scores"] for found in alone])
    order = scores.argsort(descending=True, stable=True)
    assert torch.equal(together["scores"], scores[order])
    assert torch.equal(together["boxes"], torch.cat([found["boxes"] for found in alone])[order])


@pytest.mark.parametrize("views", [(), (View(ResizeLongSide(80)), View(ResizeLongSide(80), True, SWAPS))])
def test_an_image_does_not_depend_on_its_neighbors(detector: Detector, views: Sequence[View]) -> None:
    """Where nothing pads to one size, only images of one size share a batch."""
    images = noise((40, 64), (96, 33), (40, 64), (64, 64))
    together = evaluated(detector, images, KeepSize(), None, views)
    alone = [evaluated(detector, [image], KeepSize(), None, views)[0] for image in images]
    assert_alike(together, alone, atol=1e-5)
    assert_alike(detector.predict(images, views=views), together, atol=1e-5)


def test_groups_of_one_size() -> None:
    images = noise((4, 6), (6, 4), (4, 6))
    assert by_size(images, None) == [[0, 2], [1]]
    assert by_size(images, (8, 8)) == [[0, 1, 2]]
    assert by_size(images, (8, 8), [PLAIN]) == [[0, 2], [1]]
    assert by_size(torch.zeros(2, 3, 4, 6), None) == [[0, 1]]


def test_plain_and_mirrored_share_one_resize() -> None:
    calls: list[int] = []

    @dataclass(frozen=True)
    class Counted(ResizeLongSide):
        def __call__(self, sample: Sample) -> Sample:
            calls.append(self.size)
            return super().__call__(sample)

    images = [with_square(40, 60, 10, 5, 20, 17)] * 2
    sizes = (30, 30, 60, 60)
    propose(find_squares, images, None, [View(Counted(s), bool(i % 2), SWAPS) for i, s in enumerate(sizes)])
    assert calls == [30, 30, 60, 60]  # two images, twice


def test_heights_are_those_of_the_image() -> None:
    """10 pixels high in a view twice the size are 5, in one half the size 20."""
    image = with_square(40, 60, 10, 4, 20, 14)
    found = propose(find_squares, [image], None, [View(ResizeLongSide(120)), View(ResizeLongSide(30)), PLAIN])
    target = [{"image_id": 0, "scale": torch.ones(2)}]
    for least, count in ((9.0, 1), (11.0, 0)):
        collected = Collected()
        evaluation = Evaluation({"nms": PostProcessor(Nms(0.5), min_height=least)}, {"nms": collected})  # type: ignore[dict-item]
        evaluation.update(found, target)
        assert len(collected.predictions[0]["scores"]) == count  # type: ignore[index]


def test_what_leaves_the_image_is_cut() -> None:
    found = Candidates(
        torch.tensor([[[-10.0, -10, 70, 130]]]), torch.tensor([[[0.5]]]), None, torch.tensor([[100, 60]])
    )
    (clipped,) = PostProcessor(Nms(0.5))(MIRROR.to_image(found, torch.tensor([[50, 30]])))
    assert clipped["boxes"].tolist() == [[0, 0, 30, 50]]


def test_images_stay_where_views_resize_them(detector: Detector) -> None:
    batch = {"images": noise((8, 8)), "targets": []}
    detector.evaluation = Evaluation({}, {}, None, [PLAIN])
    moved = detector.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved["images"][0].device.type == "cpu"
    detector.evaluation = Evaluation({}, {})
    moved = detector.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved["images"][0].device.type == "meta"


def test_the_cost_is_the_sum_over_the_views() -> None:
    """Long sides of 640, 1280 and 1920, plain and mirrored: 2 (1 + 4 + 9) = 28 times VGA, as the protocol says."""
    detector = bench.create_detector("scrfd_tiny")
    protocol = compose("model", ["protocol=wider_multi_scale"]).protocol
    cost = cost_of(measure_cost(detector, protocol))
    vga = measure_complexity(detector, (480, 640))
    assert cost.macs == sum(cost.macs_by_component.values()) == 28 * vga.macs
    assert (cost.params, cost.flops) == (vga.params, 56 * vga.macs)
    assert cost.input_size == (1440, 1920)
    assert [height for height, _ in cost.views] == [480, 480, 960, 960, 1440, 1440]
    assert Cost.model_validate_json(cost.model_dump_json(), strict=True) == cost
    single = measure_cost(detector, compose("model", ["protocol=wider_vga"]).protocol)
    assert (single.macs, single.views) == (vga.macs, ())


def test_input_sizes_of_views_follow_from_their_rule() -> None:
    """A 3:4 image at the long side of the view."""
    views = compose("model", ["protocol=wider_multi_scale"]).protocol.views
    for node, view in zip(views, build_views(compose("model", ["protocol=wider_multi_scale"]).protocol), strict=True):
        assert view.resize.pixels(np.zeros((768, 1024, 3), np.uint8)).shape[:2] == tuple(node.input_size)
        assert view.flip == node.flip


def test_views_that_are_none_are_refused() -> None:
    protocol = compose("model", ["protocol=wider_multi_scale"]).protocol
    protocol.views[0].resize = {"_target_": "data_modules.transforms.HorizontalFlip"}
    with pytest.raises(ConfigError, match="a method `pixels`, found HorizontalFlip"):
        build_views(protocol)
    protocol.views[0] = {
        "resize": None,
        "flip": True,
    }  # found before the evaluation, not after it
    with pytest.raises(ConfigError, match=r"every view of wider_multi_scale, found no \['input_size'\]"):
        build_views(protocol)


def test_metrics_of_one_view_on_real_images(shared: Path) -> None:
    """The published 0.5G weights under wider_vga, resized by the data module or by the only view."""
    detector = bench.create_detector("scrfd_0.5g_kps")
    source = shared / "weights" / "scrfd_500m_kps.onnx"
    detector.load_state_dict(import_onnx(detector, source, "scrfd_0.5g_kps"))
    data = ["data=wider_face", f"data.root={shared / 'data' / 'wider_face'}", "data.val_images=6", "data.num_workers=0"]
    rule = "{_target_: data_modules.transforms.ResizeLongSide, size: 640}"
    view = f"+protocol.views=[{{resize: {rule}, flip: false, input_size: [480, 640]}}]"
    keep = ["~protocol.resize.size", "protocol.resize._target_=data_modules.transforms.KeepSize", view]
    metrics, found = [], []
    for changes in ([], keep):
        config = compose("evaluate", ["detector=scrfd_0.5g_kps", *data, "trainer=cpu", *changes])
        module = build_data(config, config.protocol, "validate")
        evaluation = build_evaluation(module, config.protocol, [config.postprocess])
        metrics.append(run_evaluation(detector, module, evaluation, config)["nms"])
        found.append(evaluation.predictions["nms"])
    assert metrics[0]["AP_easy"] > 0.5
    assert metrics[1] == pytest.approx(metrics[0], abs=1e-4)
    assert_alike(list(found[0].values()), [found[1][image] for image in found[0]], atol=0.01)
