"""Real images through facenet-pytorch and through `mtcnn_facenet` under the same weights.

facenet-pytorch pins an old torch, so that it is no extra of this project:
    pip install --no-deps facenet-pytorch==2.6.0 --target DIR
and BENCH_FACENET=DIR, or DIR on PYTHONPATH. Without it this is skipped.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.boxes import pairwise_iou
from bench.detectors.base import Detector
from data_modules.loading.collate import to_tensor
from data_modules.loading.image_folder import find_images
from data_modules.loading.images import read_image

COUNT = int(os.environ.get("BENCH_FACENET_IMAGES", "4"))


@pytest.fixture(scope="module")
def facenet() -> Any:
    folder = os.environ.get("BENCH_FACENET")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    if importlib.util.find_spec("facenet_pytorch") is None:
        pytest.skip("no facenet-pytorch: pip install --no-deps facenet-pytorch==2.6.0 --target DIR, BENCH_FACENET=DIR")
    from facenet_pytorch import MTCNN

    return MTCNN(keep_all=True, select_largest=False).eval()


def theirs(facenet: Any, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes from 0 [n, 4], scores [n] and keypoints [n, 5, 2]."""
    boxes, scores, points = facenet.detect(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), landmarks=True)
    if boxes is None:
        return torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 5, 2)
    found = [torch.from_numpy(values.astype(np.float32)) for values in (boxes, scores, points)]
    return found[0] - torch.tensor([1.0, 1, 0, 0]), found[1], found[2]


def test_every_box_has_its_partner(facenet: Any, published_cascade: Callable[[str], Detector], shared: Path) -> None:
    detector = published_cascade("mtcnn_facenet")
    paths = find_images(shared / "data/wider_face/WIDER_val/images")
    total = 0
    for path in [paths[index * len(paths) // COUNT] for index in range(COUNT)]:
        image = to_tensor(read_image(path))
        with torch.no_grad():
            found = detector.raw([image])
        boxes, scores, points = theirs(facenet, image)
        assert len(found.boxes) == len(boxes), path
        if len(boxes) == 0:
            continue
        iou, partner = pairwise_iou(boxes, found.boxes).max(dim=1)
        assert partner.unique().tolist() == list(range(len(boxes))), path
        assert float(iou.min()) >= 0.98
        assert found.keypoints is not None
        torch.testing.assert_close(found.scores[partner, 0], scores, atol=1e-3, rtol=0)
        torch.testing.assert_close(found.keypoints[partner], points, atol=0.5, rtol=0)
        total += len(boxes)
    assert total > 0
