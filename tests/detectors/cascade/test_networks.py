"""P-Net, R-Net and O-Net: sizes by hand, and the fast forms of pooling and slopes against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.detectors.cascade.networks import ONet, PNet, RNet, Slopes, in_chunks, pooled


@pytest.mark.parametrize(
    ("network", "params"),
    [
        (PNet(), 6_632),
        (PNet(landmarks=True), 6_962),  # a head of 32 x 10 + 10 more
        (RNet(), 100_178),
        (RNet(landmarks=True), 101_468),
        (ONet(), 389_040),
    ],
)
def test_parameters(network: nn.Module, params: int) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == params


@pytest.mark.parametrize("network", [PNet(), RNet(), ONet()])
def test_one_window_has_one_answer(network: nn.Module) -> None:
    side = int(network.window)
    outputs = network(torch.zeros(2, 3, side, side))
    assert outputs.logits.flatten(1).shape == (2, 2)
    assert outputs.offsets.flatten(1).shape == (2, 4)
    assert (outputs.landmarks is not None) == isinstance(network, ONet)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 12), (14, 15), (31, 40)])
def test_cells_of_an_image(height: int, width: int) -> None:
    logits = PNet()(torch.zeros(1, 3, height, width)).logits
    assert PNet.cells(height, width) == logits.shape[2:]
    assert PNet.cells(12, 12) == (1, 1)


def test_a_cell_sees_its_window_alone() -> None:
    """Cell (row, column) is the answer to the 12x12 pixels from (2 row, 2 column)."""
    network, image = PNet().double(), torch.rand(1, 3, 20, 24, dtype=torch.float64)
    maps = network(image).offsets
    assert maps.shape[2:] == (5, 7)
    for row, column in ((0, 0), (4, 6), (2, 3)):
        alone = network(image[:, :, 2 * row : 2 * row + 12, 2 * column : 2 * column + 12]).offsets
        torch.testing.assert_close(maps[:, :, row, column], alone[:, :, 0, 0])


def test_scores_are_the_softmax_of_face() -> None:
    outputs = RNet()(torch.rand(3, 3, 24, 24))
    torch.testing.assert_close(outputs.scores(), outputs.logits.softmax(1)[:, 1])


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (6, 5), (7, 9), (1, 1), (2, 1)])
def test_pooling_rounds_up_with_and_without_gradients(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size)
    expected = F.max_pool2d(maps, 2, 2, ceil_mode=True)
    with torch.no_grad():
        assert torch.equal(pooled(maps, 2), expected)
    assert torch.equal(pooled(maps, 2), expected)
    assert expected.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_slopes_by_rows_are_those_of_channels(form: torch.memory_format) -> None:
    slopes, maps = Slopes(3), torch.randn(2, 3, 4, 5).contiguous(memory_format=form)
    slopes.weight.data = torch.tensor([-1.0, 0.0, 0.5])
    with torch.no_grad():
        assert torch.equal(slopes(maps), F.prelu(maps, slopes.weight))
    slopes(maps).sum().backward()
    assert slopes.weight.grad is not None


def test_chunks_change_nothing() -> None:
    network, crops = ONet().double().eval(), torch.rand(37, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        for whole, parts in zip(network(crops), in_chunks(network, crops), strict=True):
            torch.testing.assert_close(parts, whole)
        assert in_chunks(network, crops[:0]).landmarks.shape == (0, 10)
