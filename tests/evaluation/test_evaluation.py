"""An evaluation: several post-processors and evaluators over one pass, in original pixels, of finite numbers only."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric

from bench.boxes import Nms
from bench.detectors.base import Detector
from bench.detectors.candidates import Candidates, Images, Prediction
from bench.errors import ConfigError, PredictionError
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.looks import PLAIN, Look
from bench.evaluation.postprocess import PostProcessor
from bench.metrics.wider_face import WiderFaceAP
from data_modules.loading.transforms import KeepSize, ResizeLongSide
from data_modules.loading.transforms.resize import Stretch

Evaluated = Callable[..., list[Prediction]]
Squares = Callable[..., Tensor]
Target = dict[str, Any]


def targets_of(images: Sequence[Tensor], *names: Any) -> list[Target]:
    return [{"image_id": n, "size": torch.tensor(i.shape[-2:])} for n, i in zip(names, images, strict=True)]


class Count(Metric):
    """An evaluator that counts detections."""

    full_state_update = False
    found: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("found", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        self.found += sum(len(prediction["scores"]) for prediction in predictions)

    def compute(self) -> dict[str, float]:
        return {"found": float(self.found)}

    def per_image(self) -> dict[str, Any]:
        return {"found": int(self.found)}


@pytest.mark.parametrize("rule", [KeepSize(), ResizeLongSide(120), ResizeLongSide(30), Stretch(60)])
@pytest.mark.parametrize("looks", [PLAIN, (Look(ResizeLongSide(240)), Look(Stretch(120)))])
@pytest.mark.parametrize(("least", "count"), [(10.0, 1), (10.5, 0)])
def test_heights_are_those_of_the_original(
    rule: Any,
    looks: tuple[Look, ...],
    least: float,
    count: int,
    finder: Any,
    with_square: Squares,
    evaluated: Evaluated,
) -> None:
    """A square 10 pixels high stays 10 pixels high, whatever the size at which it was loaded and looked at."""
    chosen = PostProcessor(Nms(0.5), min_height=least)
    (found,) = evaluated(finder, [with_square(40, 60, 10, 4, 20, 14)], rule, None, looks, chosen)
    assert len(found["scores"]) == count


def three_images(**changes: Tensor) -> Candidates:
    """Two candidates of the first image, none of the second, one of the third."""
    values = {
        "boxes": torch.tensor([[0.0, 0, 9, 9], [20, 20, 29, 29], [5, 5, 14, 14]]),
        "scores": torch.tensor([[0.9], [0.8], [0.001]]),
        "image": torch.tensor([0, 0, 2]),
        "sizes": torch.tensor([[40, 60]] * 3),
        "keypoints": torch.ones(3, 5, 2),
    }
    return Candidates(**(values | changes))


THREE: list[Target] = [{"image_id": name} for name in ("0--Parade/a", 7, "1--Handshaking/c")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("name", "shown"), [("scores", "score"), ("boxes", "box"), ("keypoints", "keypoint")])
@pytest.mark.parametrize(("row", "image"), [(1, "0--Parade/a"), (2, "1--Handshaking/c")])
def test_what_is_not_finite_names_the_image(value: float, name: str, shown: str, row: int, image: str) -> None:
    """Also where it scores below every threshold, as the last row does; nothing of the batch is taken."""
    broken = getattr(three_images(), name).clone()
    broken[row].view(-1)[-1] = value
    evaluation = Evaluation({"nms": PostProcessor(Nms(0.5))}, {"nms": {"count": Count()}})
    told = rf"image {image}: expected finite scores and boxes, found a {shown} \[.*{value}\]; the detector has diverged"
    with pytest.raises(PredictionError, match=told):
        evaluation.update(three_images(**{name: broken}), THREE)
    assert evaluation.predictions == {}
    assert evaluation.compute() == {"nms": {"found": 0}}
    evaluation.update(three_images(), THREE)
    assert evaluation.compute() == {"nms": {"found": 2}}


def test_the_image_is_named_where_a_batch_is_looked_at_in_groups(noise: Callable[..., list[Tensor]]) -> None:
    """Sizes A B A B: the second group is images 2 and 4, and the latter is broken."""

    class Broken:
        def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates:
            value = math.nan if images[0].shape[-1] == 4 else 1.0
            scores = torch.tensor([0.5, 0.5 * value]).view(2, 1, 1)
            return Candidates.dense(torch.ones(2, 1, 4), scores, torch.tensor([i.shape[-2:] for i in images]))

    images = noise((6, 6), (6, 4), (6, 6), (6, 4))
    evaluation = Evaluation({"nms": PostProcessor(Nms(0.5))}, {"nms": {}})
    with pytest.raises(PredictionError, match=r"image fourth: .* found a score \[nan\]"):
        evaluation.step(Broken(), images, targets_of(images, "first", "second", "third", "fourth"))


def test_an_image_without_candidates_is_told_to_the_evaluators() -> None:
    evaluation = Evaluation({"nms": PostProcessor(Nms(0.5))}, {"nms": {"count": Count()}})
    evaluation.update(three_images(), THREE)
    kept = evaluation.predictions["nms"]
    assert [len(kept[target["image_id"]]["scores"]) for target in THREE] == [2, 0, 0]
    assert kept[7]["boxes"].shape == (0, 4)
    assert kept[7]["keypoints"].shape == (0, 5, 3)
    evaluation.update(three_images().select(torch.zeros(0, dtype=torch.int64)), THREE)  # of no image any
    assert evaluation.compute() == {"nms": {"found": 2}}


A, B = "0--Parade/a", "0--Parade/b"
TRUTH = {  # the finder finds the first face; what it finds in the second image is none
    "wider_face": {
        "image_ids": [A, B],
        "boxes": [np.array([[10, 5, 20, 17]]), np.array([[0, 0, 8, 8]])],
        "counted": {"all": [np.array([True])] * 2, "near": [np.array([True]), np.array([False])]},
    }
}


def two_images(with_square: Squares) -> list[Tensor]:
    return [with_square(40, 60, 10, 5, 20, 17), with_square(30, 60, 31, 10, 50, 28)]


def test_several_postprocessors_and_evaluators_over_one_pass(finder: Any, with_square: Squares) -> None:
    """AP of all: one of two faces, at a precision of 1/2, 1/4; near alone: the one face, at a precision of 1/2."""
    images = two_images(with_square)
    chosen = {"nms": PostProcessor(Nms(0.5)), "tall": PostProcessor(Nms(0.5), min_height=15.0)}
    evaluators = {name: {"faces": WiderFaceAP(TRUTH), "count": Count()} for name in chosen}
    evaluation = Evaluation(chosen, evaluators)
    evaluation.step(finder, images, targets_of(images, A, B))
    assert finder.shown == [[(40, 60)], [(30, 60)]]  # each image once
    assert evaluation.compute() == {
        "nms": {"AP_all": 0.25, "AP_near": 0.5, "found": 2},
        "tall": {"AP_all": 0.0, "AP_near": 0.0, "found": 1},  # 12 pixels high is not tall
    }
    statistics = evaluation.statistics()
    assert statistics["tall"]["count"] == {"found": 1}
    assert statistics["nms"]["faces"]["image_ids"] == [A, B]
    assert statistics["nms"]["faces"]["faces"].tolist() == [0, -1]
    assert statistics["tall"]["faces"]["counts"].tolist() == [0, 1]
    evaluation.reset()
    assert evaluation.predictions == {}
    assert evaluation.compute()["nms"] == {"AP_all": 0.0, "AP_near": 0.0, "found": 0}


def test_evaluators_that_report_one_key(finder: Any, with_square: Squares) -> None:
    images = two_images(with_square)
    evaluators = {"first": WiderFaceAP(TRUTH), "second": WiderFaceAP(TRUTH)}
    evaluation = Evaluation({"nms": PostProcessor(Nms(0.5))}, {"nms": evaluators})
    evaluation.step(finder, images, targets_of(images, A, B))
    told = r"evaluator `second` reports \['AP_all', 'AP_near'\], as another evaluator of the protocol does"
    with pytest.raises(ConfigError, match=told):
        evaluation.compute()


def test_fewer_candidates_for_every_postprocessor() -> None:
    chosen = {"nms": PostProcessor(Nms(0.5)), "low": PostProcessor(Nms(0.5), score_threshold=0.0)}
    evaluation = Evaluation(chosen, {name: {} for name in chosen})
    evaluation.limit_candidates(1)
    evaluation.update(three_images(), THREE)
    assert [len(found["scores"]) for found in evaluation.predictions["nms"].values()] == [1, 0, 0]
    assert [len(found["scores"]) for found in evaluation.predictions["low"].values()] == [1, 0, 1]


class Validated(Detector):
    """Validation by Lightning of a detector that is a finder of squares."""

    def __init__(self, finder: Any) -> None:
        super().__init__()
        self.finder = finder

    def raw(self, images: Any, pad_to: Any = None) -> Candidates:
        assert not torch.is_grad_enabled()
        return self.finder.raw(images, pad_to)

    def components(self) -> dict[str, torch.nn.Module]:
        return {}

    def candidates(self, outputs: Any, sizes: Tensor) -> Candidates:
        raise NotImplementedError

    def losses(self, outputs: Any, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        raise NotImplementedError


def collate(items: Sequence[tuple[Tensor, Target]]) -> dict[str, Any]:
    return {"images": [image for image, _ in items], "targets": [target for _, target in items]}


def test_validation_by_lightning(finder: Any, with_square: Squares) -> None:
    """Twice, since validation forgets what it saw before; logged is the first post-processor alone."""
    images = two_images(with_square)
    items: Any = list(zip(images, targets_of(images, A, B), strict=True))
    chosen = {"nms": PostProcessor(Nms(0.5)), "tall": PostProcessor(Nms(0.5), min_height=15.0)}
    detector = Validated(finder)
    detector.evaluation = Evaluation(chosen, {name: {"faces": WiderFaceAP(TRUTH)} for name in chosen})
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)  # type: ignore[arg-type]
    for _ in range(2):
        trainer.validate(detector, DataLoader(items, batch_size=2, collate_fn=collate), verbose=False)
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        assert logged == {"val/AP_all": 0.25, "val/AP_near": 0.5}
    assert set(detector.evaluation.predictions) == set(chosen)


def test_validation_without_an_evaluation(finder: Any) -> None:
    with pytest.raises(RuntimeError, match=r"set `detector\.evaluation` first"):
        Validated(finder).validation_step({"images": [], "targets": []}, 0)


@pytest.mark.parametrize(("training", "device"), [(True, "meta"), (False, "cpu")])
def test_only_training_moves_a_whole_batch(training: bool, device: str, finder: Any) -> None:
    """In evaluation looks resize images on the CPU, one after the other, and targets are read there."""
    detector = Validated(finder)
    detector._trainer = SimpleNamespace(training=training)  # type: ignore[assignment]
    batch = {"images": [torch.zeros(3, 8, 8)], "targets": [{"size": torch.tensor([8, 8])}]}
    moved = detector.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved["images"][0].device.type == device
    assert moved["targets"][0]["size"].device.type == device
