"""A detector that finds a bright square, an untrained one that reports everything, and an evaluation of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

import bench
from bench.boxes import Nms
from bench.detectors.base import Detector
from bench.detectors.candidates import Candidates, Images, Prediction
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.looks import PLAIN, Look, Proposer
from bench.evaluation.postprocess import PostProcessor

Size = tuple[int, int]


@dataclass
class SquareFinder:
    """Finds the one bright square of an image, its corners and centre as five landmarks; notes what it is shown."""

    shown: list[list[Size]] = field(default_factory=list)  # height and width of the images of each call

    def raw(self, images: Images, pad_to: Size | None = None) -> Candidates:
        boxes, points = [], []
        for image in images:
            assert image.dtype == torch.uint8
            rows, columns = (image[0] > 128).nonzero(as_tuple=True)
            left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
            boxes.append([left, top, right, bottom])
            middle = [(left + right) / 2, (top + bottom) / 2]
            points.append([[left, top], [right, top], middle, [left, bottom], [right, bottom]])
        self.shown.append([(image.shape[1], image.shape[2]) for image in images])
        scores = torch.full((len(boxes), 1, 1), 0.9)
        return Candidates.dense(
            torch.tensor(boxes).float()[:, None], scores, torch.tensor(self.shown[-1]), torch.tensor(points)[:, None]
        )


@pytest.fixture
def finder() -> SquareFinder:
    return SquareFinder()


@pytest.fixture(scope="session")
def with_square() -> Callable[..., Tensor]:
    def draw(height: int, width: int, left: int, top: int, right: int, bottom: int) -> Tensor:
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        image[:, top:bottom, left:right] = 255
        return image

    return draw


@pytest.fixture(scope="session")
def noise() -> Callable[..., list[Tensor]]:
    def draw(*sizes: Size) -> list[Tensor]:
        generator = torch.Generator().manual_seed(7)
        return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]

    return draw


@pytest.fixture(scope="session")
def detector() -> Detector:
    """Untrained, but it reports everything, its scores spread out; in double precision, since batches round."""
    torch.manual_seed(3)
    detector = bench.create_detector("scrfd_tiny").double()
    for parameter in detector.components()["head"].parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    detector.postprocess = PostProcessor(Nms(0.45), score_threshold=0.0)
    return detector


def resized(image: Tensor, rule: Any) -> Tensor:
    """As a data module does."""
    return torch.from_numpy(rule.pixels(image.permute(1, 2, 0).numpy().copy())).permute(2, 0, 1)


@pytest.fixture(scope="session")
def evaluated() -> Callable[..., list[Prediction]]:
    """Predictions in the pixels of `images`, resized by `rule`, in one step of an evaluation."""

    def run(
        detector: Proposer,
        images: Sequence[Tensor],
        rule: Any,
        pad_to: Size | None = None,
        looks: Sequence[Look] = PLAIN,
        postprocess: PostProcessor | None = None,
    ) -> list[Prediction]:
        targets = [
            {"image_id": str(number), "size": torch.tensor(image.shape[-2:])} for number, image in enumerate(images)
        ]
        chosen = postprocess or PostProcessor(Nms(0.45), score_threshold=0.0)
        evaluation = Evaluation({"nms": chosen}, {"nms": {}}, pad_to, looks)
        with torch.no_grad():
            evaluation.step(detector, [resized(image, rule) for image in images], targets)
        return [evaluation.predictions["nms"][str(number)] for number in range(len(images))]

    return run


@pytest.fixture(scope="session")
def assert_alike() -> Callable[..., None]:
    def check(one: Sequence[Prediction], other: Sequence[Prediction], atol: float = 1e-3) -> None:
        assert min(len(found["scores"]) for found in one) > 5
        for a, b in zip(one, other, strict=True):
            for key in ("boxes", "scores", "labels", "keypoints"):
                torch.testing.assert_close(a[key], b[key], atol=atol, rtol=1e-5)

    return check
