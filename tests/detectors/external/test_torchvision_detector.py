"""A torchvision model through our contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench
from bench.boxes import Nms
from bench.detectors.base import Detector
from bench.detectors.external.torchvision_detector import TorchvisionDetector
from bench.errors import ConfigError, WeightsError
from bench.evaluation.postprocess import PostProcessor

POSTPROCESS = PostProcessor(Nms(0.45), score_threshold=0.3)
Noise = Callable[..., list[Tensor]]


class Finder(nn.Module):
    """Like a torchvision detector: finds one box an image, as large as the image, and one of another class.

    In an image 10 pixels wide it finds the first box alone, in one of 8 pixels nothing.
    """

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = []
        for image in images:
            height, width = image.shape[1:]
            boxes = image.new_tensor([[0, 0, width, height], [1, 1, 5, 5]])
            one = {"boxes": boxes, "scores": image.mean().repeat(2), "labels": torch.tensor([3, 7])}
            count = {8: 0, 10: 1}.get(width, 2)
            found.append({key: value[:count] for key, value in one.items()})
        return found


def grey(height: int, width: int, value: int) -> Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_torchvision_contract() -> None:
    """Ragged images reach the model unpadded; labels are translated; an image with fewer boxes stays apart."""
    detector = TorchvisionDetector(Finder(), classes=(7, 3))
    first, second = grey(20, 30, 255), grey(40, 10, 204)
    raw = detector.raw([first, second])
    assert raw.image.tolist() == [0, 0, 1]  # a row for each box found, and none beside them
    assert raw.scores.tolist() == [[0, 1], [1, 0], [0, pytest.approx(0.8)]]
    assert raw.sizes.tolist() == [[20, 30], [40, 10]]
    found = POSTPROCESS(raw)
    assert found[0]["boxes"].tolist() == [[0, 0, 30, 20], [1, 1, 5, 5]]
    assert found[0]["labels"].tolist() == [1, 0]
    assert found[0]["scores"].tolist() == [1, 1]
    assert found[1]["boxes"].tolist() == [[0, 0, 10, 40]]
    assert found[1]["scores"].tolist() == pytest.approx([0.8])
    detector.postprocess = POSTPROCESS
    assert torch.equal(detector.predict([second])[0]["boxes"], found[1]["boxes"])


def test_torchvision_finds_nothing_in_an_image() -> None:
    """An image without boxes first, between others, and alone; a class that is not among ours scores nothing."""
    detector = TorchvisionDetector(Finder(), classes=(3,))
    raw = detector.raw([grey(20, 8, 255), grey(20, 30, 255), grey(20, 8, 255), grey(40, 10, 204)])
    assert raw.image.tolist() == [1, 1, 3]
    assert raw.boxes[:, 2].tolist() == [30, 5, 10]
    assert raw.scores.tolist() == [[1], [0], [pytest.approx(0.8)]]
    assert [len(found["scores"]) for found in POSTPROCESS(raw)] == [0, 1, 0, 1]
    alone = detector.raw([grey(20, 8, 255)])
    assert (alone.boxes.shape, alone.scores.shape, alone.image.shape) == ((0, 4), (0, 1), (0,))
    assert POSTPROCESS(alone)[0]["boxes"].shape == (0, 4)


def test_torchvision_keypoints() -> None:
    class Pointing(nn.Module):
        def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
            """One face less in every image, down to none."""
            counts = range(len(images) - 1, -1, -1)
            shapes = {"boxes": (4,), "scores": (), "keypoints": (5, 3)}
            ones = [{key: torch.ones(n, *shape) for key, shape in shapes.items()} for n in counts]
            return [{**one, "labels": torch.ones(len(one["scores"]), dtype=torch.int64)} for one in ones]

    raw = TorchvisionDetector(Pointing()).raw([grey(8, 8, 0)] * 3)
    assert raw.image.tolist() == [0, 0, 1]
    assert raw.keypoints is not None
    assert raw.keypoints.shape == (3, 5, 2)


def test_torchvision_without_classes() -> None:
    with pytest.raises(ConfigError, match="label for each of our classes, found none"):
        TorchvisionDetector(Finder(), classes=())


@pytest.fixture(scope="module")
def torchvision_face() -> Callable[..., Detector]:
    def build(**options: Any) -> Detector:
        model = {"min_size": 64, "max_size": 64, "box_score_thresh": 0.0}
        return bench.create_detector("external/torchvision_face", model=model, **options)

    return build


def test_a_torchvision_model_and_its_weights(
    torchvision_face: Callable[..., Detector], tmp_path: Path, noise: Noise
) -> None:
    torch.manual_seed(0)
    detector = torchvision_face()
    state = detector.components()["model"].state_dict()
    torch.save(state, tmp_path / "published.pth")
    other = torchvision_face(weights=tmp_path / "published.pth")
    images = noise((64, 48))
    one, two = detector.predict(images)[0], other.predict(images)[0]
    assert len(one["scores"]) > 0
    assert torch.equal(one["boxes"], two["boxes"])
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="missing backbone"):
        other.load(tmp_path / "other.pth", "torchvision_face")


def test_a_torchvision_model_batched_equals_single(torchvision_face: Callable[..., Detector], noise: Noise) -> None:
    """Of images of two shapes, which torchvision would resize to 64 x 20 and 20 x 64 and pad to 64 x 64 together."""
    torch.manual_seed(0)
    detector = torchvision_face().double()
    assert detector.postprocess is not None
    images = noise((64, 20), (20, 64), (64, 20))
    with torch.no_grad():
        together = detector.postprocess(detector.raw(images))
        single = [detector.postprocess(detector.raw([image]))[0] for image in images]
    assert [len(found["scores"]) > 2 for found in single] == [True] * 3
    for found, alone in zip(together, single, strict=True):
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-3, rtol=1e-4)
