"""The arithmetic of WIDER FACE's evaluation by hand: matches, thresholds, curves and the area under them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.metrics.wider_curves import ScoredMatches, average_precision, match_faces, normalise


def array(*rows: list[float]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def test_iou_counts_pixels() -> None:
    # 10 x 10 pixels against 10 x 5 of them: 50 / 100, exactly the threshold; without +1 it would be 36 / 81.
    faces = array([0, 0, 9, 9])
    assert match_faces(array([0, 0, 9, 4]), faces, 0.5).tolist() == [0]
    assert match_faces(array([0, 0, 9, 3.9]), faces, 0.5).tolist() == [-1]


def test_first_of_equal_faces_and_no_second_best() -> None:
    faces = array([0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 8])
    assert match_faces(array([0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 8]), faces, 0.5).tolist() == [0, 0, 2]


def test_zero_and_negative_sizes() -> None:
    # A point has area 1 and overlaps itself by 1. The face of "area" -1 * 4 beside a box of 2 * 2 makes a union of 0.
    # A box of size -0.5 has area 0.25, and overlaps itself by all of it.
    faces = array([5, 5, 5, 5], [20, 20, 18, 23], [30, 30, 29.5, 29.5])
    boxes = array([5, 5, 5, 5], [40, 40, 41, 41], [20, 20, 18, 23], [30, 30, 29.5, 29.5])
    assert match_faces(boxes, faces, 0.5).tolist() == [0, -1, -1, 2]


def test_nothing_to_match() -> None:
    assert match_faces(array(), array([0, 0, 9, 9]), 0.5).shape == (0,)
    assert match_faces(array([0, 0, 9, 9]), array(), 0.5).tolist() == [-1]


def test_normalise() -> None:
    assert normalise(np.array([-3.0, 1.0, -1.0])).tolist() == [0.0, 1.0, 0.5]
    assert normalise(np.array([0.3, 0.3])).tolist() == [1.0, 1.0]
    assert normalise(np.array([])).shape == (0,)


def test_curve_by_hand() -> None:
    # Thresholds .75 .5 .25 0. Faces 0 and 1 count, 2 is ignored. In order of score: face 2 (ignored), face 0,
    # face 0 again (wrong), nothing (wrong), face 1; a score equal to a threshold is in.
    matches = ScoredMatches.build(
        scores=np.array([0.0, 0.25, 0.6, 0.5, 1.0]), faces=np.array([1, -1, 0, 0, 2]), thresholds=4
    )
    recall, precision = matches.curve(np.array([True, True, False]))
    assert recall.tolist() == [0.0, 0.5, 0.5, 1.0]
    np.testing.assert_array_equal(precision, [np.nan, 1 / 2, 1 / 3, 2 / 4])
    # With face 2 counted, face 1 not: (1/2, 1), (1, 2/3), (1, 2/4); the detection of face 1 is now the ignored one.
    recall, precision = matches.curve(np.array([True, False, True]))
    assert recall.tolist() == [0.5, 1.0, 1.0, 1.0]
    assert precision.tolist() == [1.0, 2 / 3, 2 / 4, 2 / 4]
    assert average_precision(recall, precision) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_envelope_passes_over_nan() -> None:
    assert average_precision(np.array([0.0, 0.5, 0.5]), np.array([np.nan, 0.8, 0.4])) == pytest.approx(0.4)
    # NaN after the best point must not wipe out what lies before it.
    assert average_precision(np.array([0.5, 0.5]), np.array([0.8, np.nan])) == pytest.approx(0.4)
