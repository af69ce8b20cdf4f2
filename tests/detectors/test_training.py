"""Every one-stage detector takes a training step and learns two images by heart."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench
from bench.boxes import Nms, elementwise_iou
from bench.detectors.base import Detector
from bench.detectors.epoch_losses import EpochLosses
from bench.detectors.recipe import Recipe
from bench.evaluation.postprocess import PostProcessor
from bench.losses.targets import join_targets

DETECTORS = [name for name in bench.list_detectors() if not name.startswith("mtcnn")]  # those: cascade/
Trainable = Callable[[str], Detector]
Target = dict[str, Any]


def faces(*boxes: tuple[int, int, int, int], landmarks: bool = True) -> Target:
    corners = torch.tensor(boxes).float().view(-1, 4)
    places = torch.tensor([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    points = corners[:, None, :2] + places * (corners[:, None, 2:] - corners[:, None, :2])
    return {
        "boxes": corners,
        "labels": torch.zeros(len(corners), dtype=torch.int64),
        "keypoints": torch.cat([points, torch.full_like(points[..., :1], float(landmarks))], dim=-1),
        "ignore": torch.zeros(len(corners), dtype=torch.bool),
    }


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("batch", ["faces", "no faces", "no landmarks", "bfloat16"])
@pytest.mark.parametrize("name", DETECTORS)
def test_a_training_step(name: str, batch: str, trainable: Trainable) -> None:
    detector = trainable(name).train()
    boxes = () if batch == "no faces" else ((8, 8, 40, 44), (50, 20, 80, 56))
    targets = [faces(*boxes, landmarks=batch != "no landmarks"), faces()]
    assert detector.recipe is not None
    optimizer, _ = detector.recipe.build(detector.parameters(), total=10)
    before = {key: parameter.detach().clone() for key, parameter in detector.named_parameters()}
    with torch.autocast("cpu", torch.bfloat16, enabled=batch == "bfloat16"):
        losses = detector.losses(detector(detector.prepare(noise(2, 3, 64, 96))[0]), targets)
        total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert bool(total.isfinite())
    assert total.dtype == torch.float32
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None, f"{key} takes no part in the loss"
        assert bool(parameter.grad.isfinite().all()), key
    if batch == "faces":
        assert all(value > 0 for value in losses.values())
    optimizer.step()
    assert all(bool(p.isfinite().all()) for p in detector.parameters())
    assert any(not torch.equal(p, before[key]) for key, p in detector.named_parameters())
    assert bool(detector.eval().raw(noise(1, 3, 64, 96)).scores.isfinite().all())


@pytest.mark.parametrize("name", ["scrfd_tiny", "blazeface_tiny"])
def test_a_training_step_waits_as_often_for_many_images_as_for_few(
    name: str, trainable: Trainable, waits: Callable[..., Counter[str]]
) -> None:
    """For the number of positives; from the batch of a loader to the gradients."""
    detector = trainable(name).train()
    some = [faces((8, 8, 40, 44), (50, 20, 80, 56)), faces()]
    for images in (2, 8):
        batch = {"images": noise(images, 3, 64, 96), "targets": some * (images // 2)}
        assert waits(lambda batch=batch: detector.training_step(batch, 0).backward()) == {"aten.nonzero": 1}


def test_a_dense_detector_takes_targets_from_where_they_lie(trainable: Trainable) -> None:
    """They are joined there and follow the outputs: of 32 tensors of a batch of eight none is moved by itself."""
    detector = trainable("scrfd_tiny")
    batch = {"images": noise(2, 3, 64, 96), "targets": [faces((8, 8, 40, 44)), faces()]}
    assert detector.transfer_batch_to_device(batch, torch.device("meta"), 0) is batch
    joined = join_targets(batch["targets"], torch.device("meta"))
    tensors = (joined.boxes.boxes, joined.boxes.image, joined.boxes.used, joined.labels, joined.keypoints)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert joined.boxes.images == 2


def test_losses_of_an_epoch_are_means_over_images() -> None:
    epoch = EpochLosses()
    assert epoch.means() == {}
    epoch.add({"loss_cls": torch.tensor(1.0, requires_grad=True), "loss": torch.tensor(3.0)}, images=2)
    epoch.add({"loss_cls": torch.tensor(4.0), "loss": torch.tensor(6.0)}, images=1)
    means = epoch.means()
    assert {name: float(value) for name, value in means.items()} == {"loss_cls": 2.0, "loss": 4.0}
    assert not means["loss_cls"].requires_grad


STEPS = 200
RECIPE = Recipe(  # Adam, and warm enough a start that deep networks without running norms bear it
    partial(torch.optim.Adam, fused=True),
    lr=3e-4,
    epochs=1,
    batch_size=2,
    reference_batch=2,
    decay="cosine",
    warmup_iterations=5,
    warmup_factor=0.2,
)


def drawn_faces() -> tuple[Tensor, list[Target]]:
    """Two images of 64x64, each with a coarsely textured face (dark eyes, nose and mouth) on a dim, noisy ground."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 80, (2, 3, 64, 64), dtype=torch.uint8, generator=generator)
    skin = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator)
    skin = skin.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    targets = [faces((8, 8, 36, 44)), faces((20, 12, 60, 60))]
    for image, texture, target in zip(images, skin, targets, strict=True):
        x1, y1, x2, y2 = target["boxes"][0].int().tolist()
        image[:, y1:y2, x1:x2] = texture[:, y1:y2, x1:x2]
        for x, y in target["keypoints"][0, :, :2].int().tolist():
            image[:, y - 2 : y + 2, x - 2 : x + 2] = 30
    return images, targets


def settle_norms(detector: Detector, batch: Tensor) -> None:
    """Let batch norms see `batch` once and leave them so, as is usual where batches are small.

    Two tiny images are no sample: at stride 32 they have 8 values a channel, and norms that TinaFace shares between
    six levels would take in each level's last 8 while they learn and the mean of all when they are used.
    """
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over calls
    with torch.no_grad():
        detector.train()(batch)
    detector.eval()


def open_boxes(detector: Detector) -> None:
    """Start distances at one stride on every side, which the towers of SCRFD's head predict.

    As released they start about zero, where a box may well be inverted, and DIoU turns no such box round (see
    test_box_losses). In a batch with many faces some are open and pull the others along; whether one of nine
    anchors of one face is, the seed decides.
    """
    for key, parameter in detector.named_parameters():
        if ".towers." in key and key.endswith(".bbox.bias"):
            nn.init.ones_(parameter)


def learned(detector: Detector, images: Tensor, targets: list[Target]) -> bool:
    """Whether the best detection of every image is its face, landmarks included where the detector has them."""
    detector.postprocess = PostProcessor(Nms(0.45), score_threshold=0.3)
    for found, target in zip(detector.predict(images), targets, strict=True):
        if len(found["boxes"]) == 0 or float(elementwise_iou(found["boxes"][0], target["boxes"][0])) <= 0.7:
            return False
        points = found["keypoints"][0, :3, :2]  # eyes and nose are in every scheme
        if len(points) and float((points - target["keypoints"][0, :3, :2]).norm(dim=-1).max()) > 6:
            return False
    return True


@pytest.mark.parametrize("name", DETECTORS)
def test_two_images_are_learned_by_heart(name: str, trainable: Trainable) -> None:
    detector = trainable(name)
    images, targets = drawn_faces()
    batch = detector.prepare(images)[0]
    settle_norms(detector, batch)
    open_boxes(detector)
    assert not learned(detector, images, targets)
    optimizer, schedule = RECIPE.build(detector.parameters(), total=STEPS)
    history: list[float] = []
    for step in range(1, STEPS + 1):
        loss = torch.stack(list(detector.losses(detector(batch), targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        history.append(loss.item())
        if step % 5 == 0 and history[-1] < history[0] / 10 and learned(detector, images, targets):
            return
    pytest.fail(f"after {STEPS} steps the loss is {history[-1]:.3g} of {history[0]:.3g}, or a face is not found")
