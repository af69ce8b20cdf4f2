"""Live bytes by hand: which tensors are alive together at the worst moment."""

import pytest
import torch
from torch import Tensor, nn

from bench.cost.isolation import CostError
from bench.cost.memory import _LiveBytes, measure_memory


def test_peak_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 1, 1))
    found = measure_memory(net, (8, 8))
    # float32, 64 positions: images 768 (alive throughout), 4 channels 1024, 2 channels 512; the ReLU adds nothing
    assert found.activation_bytes == 768 + 1024 + 512
    assert found.weight_bytes == 4 * (12 + 4 + 8 + 2 + 2 + 1)
    assert found.peak_bytes == found.activation_bytes + found.weight_bytes
    assert found.method == "live_tensors"


def test_views_add_nothing_and_kept_tensors_stay() -> None:
    class Skips(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            kept = [x * 2, x * 3]
            del kept[0]
            return (kept[0].flatten(1).view(-1)[:10] + 1) + x.sum()

    # images and both products (3 x 768); later the second product alone with small tensors
    assert measure_memory(Skips(), (8, 8)).activation_bytes == 3 * 768


def test_grows_with_batch_and_leaves_the_detector() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).train()
    one, four = (measure_memory(net, (8, 8), batch_size=batch) for batch in (1, 4))
    assert four.activation_bytes == 4 * one.activation_bytes == 4 * (768 + 2 * 1024)
    assert net.training
    assert net[0].weight.device.type == "cpu"


def test_meta_run_agrees_with_a_real_one() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3)).eval()
    with torch.no_grad(), _LiveBytes([*net.parameters(), *net.buffers()]) as live:
        net(torch.zeros(1, 3, 64, 64))
    # a norm's saved statistics, 2 x 8 floats, are allocated on meta and left out by the CPU's kernel
    assert measure_memory(net, (64, 64)).activation_bytes == pytest.approx(live.peak, abs=64)


def test_bad_arguments() -> None:
    with pytest.raises(CostError, match="batch_size"):
        measure_memory(nn.Identity(), (8, 8), batch_size=0)
    with pytest.raises(CostError, match="input size"):
        measure_memory(nn.Identity(), (8, -1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_allocator_sees_at_least_the_tensors() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    found = measure_memory(net, (256, 256), device="cuda")
    assert found.method == "cuda_allocator"
    assert found.activation_bytes >= measure_memory(net, (256, 256)).activation_bytes
