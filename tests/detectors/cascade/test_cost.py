"""Cost of a cascade: hand counts of windows and pyramids, and the distribution over images."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import bench
from bench.config import compose
from bench.cost.distribution import CostDistribution
from bench.detectors.base import Detector
from bench.detectors.cascade.cost import level_macs, pyramid_macs
from bench.detectors.cascade.networks import PNet
from bench.detectors.cascade.pyramid import level_sizes, scales_of
from bench.detectors.create import build_detector
from bench.records.record import Cost

# (height, width), smallest face, factor: levels, cells, 1e9 MACs of P-Net; n pixels have ceil((n - 2) / 2) - 4 cells
PYRAMIDS = [
    ((480, 640), 20, 0.709, 10, 50_663, 0.378),
    ((480, 640), 40, 0.709, 8, 11_575, 0.088),
    ((480, 640), 10, 0.79, 17, 279_990, 2.071),
    ((720, 1280), 20, 0.709, 11, 157_610, 1.167),
    ((720, 1280), 40, 0.709, 9, 37_264, 0.279),
    ((1080, 1920), 20, 0.709, 12, 361_164, 2.665),
    ((1080, 1920), 10, 0.79, 20, 1_946_790, 14.309),
]


@pytest.mark.parametrize(("size", "min_face", "factor", "levels", "cells", "gmacs"), PYRAMIDS)
def test_pyramids(size: Any, min_face: float, factor: float, levels: int, cells: int, gmacs: float) -> None:
    sizes = level_sizes(size, scales_of(size, min_face, factor), "up")
    assert len(sizes) == levels
    counts = [PNet.cells(*level) for level in sizes]
    assert sum(rows * columns for rows, columns in counts) == cells
    assert sum(level_macs(PNet(), *level) for level in sizes) / 1e9 == pytest.approx(gmacs, abs=5e-4)


def test_level_sizes_round_both_ways() -> None:
    """480 at 0.6 is 288 in exact numbers: "beyond" takes one pixel more."""
    assert level_sizes((480, 641), [0.6, 0.4254], "up") == [(288, 385), (205, 273)]
    assert level_sizes((480, 641), [0.6, 0.4254], "beyond") == [(289, 385), (205, 273)]
    assert scales_of((19, 500), 20, 0.709) == []
    assert scales_of((20, 500), 20, 0.709) == [0.6]


@pytest.mark.parametrize("landmarks", [False, True])
def test_macs_by_hand(landmarks: bool) -> None:
    node = compose("model", ["detector=mtcnn", f"+detector.model.pnet.landmarks={landmarks}"]).detector
    detector = build_detector(node)
    found = detector.complexity((480, 640))
    assert found is not None
    pnet = 45_080 if landmarks else 44_760
    assert found.macs_per_window == {"pnet": pnet, "rnet": 1_530_768, "onet": 12_909_952}
    assert found.macs_by_component == {"pnet": pyramid_macs(detector, (480, 640)), "rnet": 0, "onet": 0}
    assert found.params_by_component == {"pnet": 6_962 if landmarks else 6_632, "rnet": 100_178, "onet": 389_040}


def test_distribution_of_counts() -> None:
    """Windows 0, 10 and 20 of 5 MACs each beside 100, 100 and 200."""
    found = CostDistribution.of({"pnet": [100, 100, 200], "rnet": [0, 50, 100]}, {"rnet": [0, 10, 20]})
    assert found.images == 3
    assert found.macs["rnet"] == {"mean": 50, "p50": 50, "p90": pytest.approx(90), "max": 100}
    assert found.macs["total"] == {"mean": pytest.approx(550 / 3), "p50": 150, "p90": pytest.approx(270), "max": 300}
    assert found.windows == {"rnet": {"mean": 10, "p50": 10, "p90": pytest.approx(18), "max": 20}}


def test_what_images_cost_is_counted(random_cascade: Callable[[], Detector], noise: Callable[..., Any]) -> None:
    """An image below the smallest face costs nothing; batches and single images count alike."""
    detector: Any = random_cascade()
    assert detector.cost_distribution() is None
    images = noise((60, 80), (19, 30), (60, 80), (50, 41))
    with torch.no_grad():
        detector.raw(images)
        together = detector.tally
        assert together.counts["rnet"][1] == 0
        assert min(together.counts["rnet"][i] for i in (0, 2, 3)) > 0
        single = random_cascade()
        for image in images:
            single.raw([image])
    assert single.tally.counts == together.counts
    found = detector.cost_distribution()
    rnet = torch.tensor(together.counts["rnet"])
    assert found.images == 4
    assert found.windows["rnet"]["max"] == int(rnet.max())
    assert found.macs["rnet"]["max"] == int(rnet.max()) * 1_530_768
    assert found.macs["pnet"]["max"] == pyramid_macs(detector, (60, 80))
    assert bench.create_detector("scrfd_tiny").cost_distribution() is None


def test_a_record_keeps_the_distribution() -> None:
    complexity = bench.create_detector("mtcnn").complexity((60, 80))
    assert complexity is not None
    spread = CostDistribution.of({"pnet": [100, 300]}, {"rnet": [1, 3]})
    cost = Cost(**replace(complexity, distribution=spread).counts())
    assert cost.distribution is not None
    assert cost.distribution.macs["total"].mean == 200
    assert cost.distribution.windows["rnet"].max == 3
    assert Cost(**complexity.counts()).distribution is None
