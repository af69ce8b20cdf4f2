import numpy as np
import pytest
import torch

from bench.predictions.drawing import BOX, TRUTH, DrawingError, contact_sheet, draw_detections, fit


def grey(height=60, width=80):
    return np.full((height, width, 3), 128, dtype=np.uint8)


def test_the_box_is_drawn_where_it_is_and_the_picture_stays():
    image = grey()
    drawn = draw_detections(image, np.array([[10.0, 20.0, 40.0, 50.0]]))
    assert tuple(drawn[20, 25]) == tuple(drawn[50, 25]) == tuple(drawn[35, 10]) == tuple(drawn[35, 40]) == BOX
    assert tuple(drawn[35, 25]) == (128, 128, 128)
    assert (image == 128).all()


def test_the_threshold_hides_and_the_truth_stays():
    boxes, scores = np.array([[10.0, 20.0, 40.0, 50.0], [50.0, 5.0, 70.0, 25.0]]), np.array([0.2, 0.9])
    truth = np.array([[5.0, 30.0, 30.0, 55.0]])
    drawn = draw_detections(grey(), boxes, scores, truth=truth, score_threshold=0.5)
    colours = {tuple(pixel) for pixel in drawn.reshape(-1, 3)}
    assert TRUTH in colours
    assert tuple(drawn[35, 40]) == (128, 128, 128)  # right edge of the first box
    assert tuple(drawn[15, 70]) == BOX


def test_invisible_landmarks_are_left_out():
    box = np.array([[0.0, 0.0, 79.0, 59.0]])
    points = np.array([[[20.0, 30.0, 1.0], [60.0, 30.0, 0.0]]])
    drawn = draw_detections(grey(), box, keypoints=points)
    assert tuple(drawn[30, 20]) != (128, 128, 128)
    assert tuple(drawn[30, 60]) == (128, 128, 128)


def test_tensors_empty_input_and_boxes_outside():
    image = torch.full((60, 80, 3), 128, dtype=torch.uint8)
    empty = draw_detections(image, torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 5, 3), torch.zeros(0, 4))
    assert (empty == 128).all()
    far = draw_detections(image, torch.tensor([[-1e9, -50.0, 1e9, 900.0]]), torch.tensor([0.5]))
    assert far.shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("image", "boxes", "scores"),
    [
        (grey().astype(float), [[0, 0, 1, 1]], None),
        (grey()[..., 0], [[0, 0, 1, 1]], None),
        (grey(), [[0, 0, 1]], None),
        (grey(), [[0, 0, 1, 1]], [0.1, 0.2]),
    ],
)
def test_wrong_shapes_are_named(image, boxes, scores):
    with pytest.raises(DrawingError, match="expected"):
        draw_detections(image, boxes, scores)


def test_contact_sheet_places_tiles_row_by_row():
    images = [np.full((10, 20, 3), value, dtype=np.uint8) for value in (50, 100, 150)]
    sheet = contact_sheet(images, columns=2, tile=(20, 20), gap=4)
    assert sheet.shape == (2 * 24 + 4, 2 * 24 + 4, 3)
    assert [sheet[14, 14, 0], sheet[14, 38, 0], sheet[38, 14, 0], sheet[38, 38, 0]] == [50, 100, 150, 24]
    assert sheet[5, 14, 0] == 24  # a wide picture leaves room above itself
    with pytest.raises(DrawingError, match="expected pictures"):
        contact_sheet([])


def test_fit_keeps_proportions():
    assert fit(grey(60, 80), (30, 30)).shape == (22, 30, 3)
    assert fit(grey(60, 80), (120, 400)).shape == (120, 160, 3)
