import torch

from bench.necks.top_down import top_down


def test_every_coarser_map_reaches_the_finest_and_the_inputs_stay() -> None:
    """1 + 10 + 100 on the left half, 1 + 10 + 200 on the right; the coarsest is handed on as it came."""
    coarsest = torch.tensor([[[[100.0, 200.0]]]])
    levels = [torch.full((1, 1, 4, 8), 1.0), torch.full((1, 1, 2, 4), 10.0), coarsest]
    fine, middle, last = top_down(levels, "nearest")
    assert fine[0, 0, 0].tolist() == [111.0] * 4 + [211.0] * 4
    assert middle[0, 0, 1].tolist() == [110.0] * 2 + [210.0] * 2
    assert torch.equal(last, coarsest)
    assert levels[0].unique().tolist() == [1.0]


def test_bilinear_maps_blend_between_cells() -> None:
    """Centers of the enlarged row lie at -0.25, 0.25, 0.75, 1.25 of the coarse one: 0, 0.25, 0.75, 1 of the way."""
    fine, _ = top_down([torch.zeros(1, 1, 1, 4), torch.tensor([[[[0.0, 4.0]]]])], "bilinear")
    assert fine.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]
