"""PAFPN against the same pyramid written out step by step, and against numbers worked out by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.necks.pafpn import PAFPN


def conv(x: Tensor, module: nn.Module, stride: int = 1) -> Tensor:
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest neighbour by index: row i of `size` shows row floor(i * rows / size)."""
    rows = [i * x.shape[2] // size[0] for i in range(size[0])]
    columns = [i * x.shape[3] // size[1] for i in range(size[1])]
    return x[:, :, rows][:, :, :, columns]


def reference(neck: PAFPN, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
    l3, l4, l5 = (conv(c, module) for c, module in zip((c3, c4, c5), neck.lateral, strict=True))
    t4 = l4 + enlarged(l5, (l4.shape[2], l4.shape[3]))
    t3 = l3 + enlarged(t4, (l3.shape[2], l3.shape[3]))
    f3, f4, f5 = (conv(t, module) for t, module in zip((t3, t4, l5), neck.smooth, strict=True))
    n4 = f4 + conv(f3, neck.downsample[0], stride=2)
    n5 = f5 + conv(n4, neck.downsample[1], stride=2)  # from the updated level
    return [f3, conv(n4, neck.output[0]), conv(n5, neck.output[1])]


@pytest.mark.parametrize("finest", [(16, 24), (10, 14), (5, 7)])
def test_against_the_steps_written_out(finest: tuple[int, int]) -> None:
    torch.manual_seed(0)
    neck = PAFPN((4, 6, 8, 10), 5)
    for parameter in neck.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too
    sizes = [(-(-finest[0] // s), -(-finest[1] // s)) for s in (1, 2, 4)]
    c3, c4, c5 = (torch.randn(2, c, *size) for c, size in zip((6, 8, 10), sizes, strict=True))
    c2 = torch.full((2, 4, 2 * finest[0], 2 * finest[1]), torch.nan)  # not looked at
    found = neck([c2, c3, c4, c5])
    assert neck.out_channels == (5, 5, 5)
    for one, other in zip(found, reference(neck, c3, c4, c5), strict=True):
        torch.testing.assert_close(one, other)


def test_by_hand() -> None:
    """One channel; every convolution passes its center pixel on: the arithmetic of the two passes alone."""
    neck = PAFPN((1, 1), 1, start_level=0)
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            module.weight.data[0, 0, module.kernel_size[0] // 2, module.kernel_size[0] // 2] = 1.0
    fine, coarse = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[10.0]]]])
    low, high = neck([fine, coarse])
    assert low.tolist() == [[[[11.0, 12.0], [13.0, 14.0]]]]
    assert high.tolist() == [[[[10.0 + 11.0]]]]  # the stride-2 convolution is centered on the first pixel


def test_parameters_and_absence_of_norms() -> None:
    neck = PAFPN((40, 72, 152, 288), 16)
    # laterals, then 3 + 2 + 2 convolutions 3x3, all with bias
    assert sum(p.numel() for p in neck.parameters()) == 16 * (72 + 152 + 288 + 3) + 7 * (9 * 16 * 16 + 16)
    assert {type(m) for m in neck.modules()} == {PAFPN, nn.ModuleList, nn.Conv2d}
