"""Which calls are timed, what is kept, and that nothing is left changed."""

import time

import pytest
import torch
from torch import Tensor, nn

from bench.cost import devices
from bench.cost.devices import device_name
from bench.cost.isolation import CostError
from bench.cost.latency import STAGES, measure_latency, summarize

SLEEP = {"forward": 0.004, "candidates": 0.001, "postprocess": 0.002, "predict": 0.012}


class Sleeper(nn.Module):
    """A detector whose stages take known times and note what they were called with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)
        self.frozen = nn.BatchNorm2d(2).eval()
        self.seen: list[list[int]] = []
        self.dtypes: set[torch.dtype] = set()
        self.states: set[tuple[bool, bool, int]] = set()

    def prepare(self, images: list[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        self.seen.append([int(image[0, 0, 0]) for image in images])
        return torch.stack(images).float(), [(image.shape[1], image.shape[2]) for image in images]

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(SLEEP["forward"])
        self.states.add((self.training, torch.is_inference_mode_enabled(), torch.get_num_threads()))
        return self.layer(images)

    def candidates(self, outputs: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
        assert len(sizes) == len(outputs)
        self.dtypes.add(outputs.dtype)
        time.sleep(SLEEP["candidates"])
        return outputs

    def postprocess(self, candidates: Tensor) -> list[dict[str, Tensor]]:
        time.sleep(SLEEP["postprocess"])
        return [{} for _ in candidates]

    def predict(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        time.sleep(SLEEP["predict"])
        return [{} for _ in images]


def test_each_stage_times_its_own_calls() -> None:
    found = measure_latency(Sleeper(), (8, 8), warmup=1, repeats=4).samples_ms
    assert tuple(found) == STAGES
    assert all(len(samples) == 4 for samples in found.values())
    # sleep never returns early; the fastest of four tells the stages apart even on a busy machine
    assert 4 <= min(found["forward"]) < 12
    assert 3 <= min(found["postprocess"]) < 11
    assert min(found["end_to_end"]) >= 12


def test_keys_and_values_of_the_flat_dict() -> None:
    found = measure_latency(Sleeper(), (8, 8), batch_size=2, warmup=0, repeats=3)
    flat = found.metrics()
    assert flat["speed/cpu_fp32_b2/forward_ms_min"] == min(found.samples_ms["forward"])
    assert flat["speed/cpu_fp32_b2/end_to_end_count"] == 3
    names = ("ms_p50", "ms_p90", "ms_p99", "ms_mean", "ms_min", "count")
    assert set(flat) == {f"speed/cpu_fp32_b2/{stage}_{name}" for stage in STAGES for name in names}


def test_summary_by_hand_keeps_outliers() -> None:
    # ranks 0..10: p50 is rank 5, p90 rank 9, p99 rank 9.9 between 9 and 1000
    assert summarize([1000.0, *range(10)]) == {"p50": 5, "p90": 9, "p99": pytest.approx(900.9), "mean": 95, "min": 0}


def test_images_are_cycled_in_batches() -> None:
    detector = Sleeper()
    images = [torch.full((3, 4, 4), value, dtype=torch.uint8) for value in range(3)]
    measure_latency(detector, images, batch_size=2, warmup=1, repeats=2)
    assert detector.seen == [[0, 1], [2, 0], [1, 2]]


def test_eval_inference_threads_and_all_put_back() -> None:
    detector = Sleeper().train()
    detector.frozen.eval()
    threads = torch.get_num_threads()
    found = measure_latency(detector, (8, 8), warmup=0, repeats=1, threads=1)
    assert detector.states == {(False, True, 1)}
    assert found.threads == 1
    assert torch.get_num_threads() == threads
    assert (detector.training, detector.layer.training, detector.frozen.training) == (True, True, False)


def test_put_back_after_a_failure() -> None:
    class Fails(Sleeper):
        def predict(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
            raise ValueError("no")

    detector = Fails().train()
    with pytest.raises(ValueError, match="no"):
        measure_latency(detector, (8, 8), warmup=0, repeats=1)
    assert detector.training


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision(precision: str, dtype: torch.dtype) -> None:
    detector = Sleeper()
    found = measure_latency(detector, (8, 8), precision=precision, warmup=0, repeats=1)
    assert detector.dtypes == {dtype}
    assert detector.layer.weight.dtype == torch.float32
    assert f"speed/cpu_{precision}_b1/forward_ms_p50" in found.metrics()
    assert not found.tf32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "int8"}, "precision"),
        ({"repeats": 0}, "repeats"),
        ({"batch_size": 0}, "batch_size"),
        ({"threads": 0}, "threads"),
        ({"device": "meta"}, "cpu or cuda"),
        ({"images": []}, "at least one image"),
        ({"images": [torch.zeros(3, 4, 4)]}, "uint8"),
        ({"images": (0, 4)}, "input size"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(CostError, match=message):
        measure_latency(Sleeper(), **{"images": (8, 8)} | arguments)


def test_device_name(tmp_path, monkeypatch) -> None:
    assert device_name("cpu")
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Example CPU: 9000 @ 2GHz\nmodel name\t: second\n")
    assert devices._cpu_model(info) == "Example CPU: 9000 @ 2GHz"
    info.write_text("processor : 0\n")
    assert devices._cpu_model(info) == devices._cpu_model(tmp_path / "absent") == ""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CostError, match="finds none"):
        device_name("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_waits_and_moves_back() -> None:
    detector = Sleeper()
    found = measure_latency(detector, (8, 8), device="cuda", precision="fp16", warmup=1, repeats=2)
    assert detector.layer.weight.device.type == "cpu"
    assert found.samples_ms["end_to_end"][0] >= 12
    assert detector.dtypes == {torch.float16}
