"""The cascade behind the contract: empty stages, batches, rules."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import bench
from bench.boxes import Nms
from bench.config import compose
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.errors import ConfigError, ImageError
from bench.evaluation.postprocess import PostProcessor

NAMES = ["mtcnn", "mtcnn_facenet"]
Cascade = Callable[[str], Detector]
Noise = Callable[..., list[Tensor]]


def with_rules(name: str, **rules: Any) -> Any:
    """The detector of a name with other rules, weights of seed 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = [f"detector.inference.{key}={value}" for key, value in rules.items()]
        return build_detector(compose("model", [f"detector={name}", *words]).detector).eval()


@pytest.mark.parametrize("name", NAMES)
def test_images_without_a_face_have_nothing(name: str, random_cascade: Cascade, noise: Noise) -> None:
    """Too small for a scale, and nothing above the threshold of any stage: nothing of the right shape."""
    for thresholds in ("[1.1,0.7,0.7]", "[0.0,1.0,0.7]", "[0.0,0.0,1.0]"):
        detector = with_rules(name, thresholds=thresholds)
        detector.postprocess = PostProcessor(Nms(0.45))
        for sizes in (((19, 400),), ((40, 50),), ((19, 400), (40, 50))):
            with torch.no_grad():
                found = detector.raw(noise(*sizes))
            assert found.boxes.shape == (0, 4)
            assert found.scores.shape == (0, 1)
            assert found.keypoints.shape == (0, 5, 2)
            assert found.sizes.tolist() == [list(size) for size in sizes]
            predictions = detector.predict(noise(*sizes))
            assert [list(p["boxes"].shape) for p in predictions] == [[0, 4]] * len(sizes)
            assert predictions[0]["keypoints"].shape == (0, 5, 3)
    with pytest.raises(ImageError, match="at least one"):
        detector.raw([])


@pytest.mark.parametrize("name", NAMES)
def test_no_image_depends_on_its_neighbors(name: str, noise: Noise) -> None:
    """Images of one size, of others, and one that has no scale."""
    detector = with_rules(name, thresholds="[0.4,0.3,0.2]")
    images = noise((64, 80), (90, 61), (18, 90), (64, 80))
    with torch.no_grad():
        together = detector.raw(images)
        for index, image in enumerate(images):
            alone = detector.raw([image], pad_to=(128, 128))
            mine = together.select(together.image == index)
            assert len(alone.image) == len(mine.image)
            assert (index == 2) == (len(mine.image) == 0)
            order, other = mine.scores[:, 0].argsort(), alone.scores[:, 0].argsort()
            torch.testing.assert_close(mine.boxes[order], alone.boxes[other], atol=1e-3, rtol=0)
            torch.testing.assert_close(mine.keypoints[order], alone.keypoints[other], atol=1e-3, rtol=0)


def test_a_stack_is_a_list(random_cascade: Cascade, noise: Noise) -> None:
    detector = with_rules("mtcnn", thresholds="[0.4,0.3,0.2]")
    images = noise((40, 50), (40, 50))
    with torch.no_grad():
        one, other = detector.raw(images), detector.raw(torch.stack(images))
    assert torch.equal(one.boxes, other.boxes)


def test_windows_of_boxes() -> None:
    """Box 0.6..5.9 of an image of 4 x 8: cut to 0..5 from 1, hence pixels -1 to 5; the port cuts at the border."""
    boxes, sizes = torch.tensor([[0.6, -3.7, 5.9, 9.2]]), torch.tensor([[4, 8]])
    assert with_rules("mtcnn").windows(boxes, sizes).tolist() == [[-1, -4, 5, 9]]
    assert with_rules("mtcnn_facenet").windows(boxes, sizes).tolist() == [[0, 0, 5, 4]]


def test_squares_of_no_pixel_are_left_out() -> None:
    detector, found = with_rules("mtcnn_facenet"), with_rules("mtcnn")
    from bench.detectors.cascade.proposals import Proposals

    boxes = torch.tensor([[-20.0, 1, -10, 11], [1, 1, 11, 11], [6, 6, 5, 5]])
    proposals = Proposals(boxes, torch.ones(3), torch.zeros(3, dtype=torch.int64), torch.zeros(3, 4))
    sizes = torch.tensor([[30, 30]])
    assert detector.squares(proposals, sizes).boxes.tolist() == [[1, 1, 11, 11]]
    assert found.squares(proposals, sizes).boxes.tolist() == [[-20, 1, -10, 11], [1, 1, 11, 11]]


def test_inputs_are_normalised(random_cascade: Cascade) -> None:
    detector: Any = random_cascade("mtcnn")
    pixels = torch.tensor([0.0, 127.5, 255.0]).expand(1, 1, 1, 3).clone()
    assert detector.network_input(pixels).flatten().tolist() == [-127.5 / 128, 0, 127.5 / 128]
    other = build_detector(compose("model", ["detector=mtcnn", "detector.model.mean=[0,100,200]"]).detector)
    assert other.network_input(torch.full((1, 1, 1, 3), 100.0)).flatten().tolist() == [100 / 128, 0, -100 / 128]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"resampling": "bicubic"}, "inference.resampling among area_weighted, adaptive_pooling, found `bicubic`"),
        ({"border": "mirror"}, "inference.border among zeros, cut"),
        ({"factor": 1.0}, "a factor between 0 and 1"),
        ({"thresholds": "[0.6,0.7]"}, r"three thresholds, found 20\.0, 0\.709 and \[0\.6, 0\.7\]"),
    ],
)
def test_rules_that_make_no_sense(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        with_rules("mtcnn", **rules)


def test_not_trained_as_a_whole() -> None:
    detector = bench.create_detector("mtcnn")
    with pytest.raises(ConfigError, match="not trained as a whole"):
        detector.losses(None, [])
    with pytest.raises(ConfigError, match="has no recipe"):
        build_detector(compose("model", ["detector=mtcnn"]).detector, with_recipe=True)


def test_folded_predicts_alike(noise: Noise) -> None:
    detector = with_rules("mtcnn", thresholds="[0.4,0.3,0.2]")
    ready = detector.folded()
    with torch.no_grad():
        assert torch.equal(ready.raw(noise((40, 50))).boxes, detector.raw(noise((40, 50))).boxes)
    assert ready.pnet.conv1.weight is not detector.pnet.conv1.weight
