"""Optimized detectors predict the same; what cannot be optimized is refused."""

from pathlib import Path

import pytest
import torch

import bench as suite
from bench.detectors.optimize import optimized, require_compiler
from bench.errors import ConfigError


def test_folded_predicts_the_same_channels_last() -> None:
    torch.manual_seed(0)
    detector = suite.create_detector("scrfd_tiny")
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((64, 96), (50, 70))]
    ready = optimized(detector, "folded")
    assert ready.prepare(images)[0].is_contiguous(memory_format=torch.channels_last)
    assert detector.prepare(images)[0].is_contiguous()
    one, two = detector.raw(images), ready.raw(images)
    torch.testing.assert_close(two.boxes, one.boxes, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(two.scores, one.scores, atol=1e-5, rtol=1e-4)


def test_none_is_the_detector_itself() -> None:
    detector = suite.create_detector("scrfd_tiny")
    assert optimized(detector, "none") is detector


def test_compiled_compiles_a_copy_with_weights_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the compiler makes of it is checked where it is timed, in benchmarks/inference.py; compiling takes long."""
    monkeypatch.setattr(torch._inductor.config, "freezing", False)
    monkeypatch.setattr("bench.detectors.optimize.require_compiler", lambda: "c++")
    detector = suite.create_detector("scrfd_tiny")
    ready = optimized(detector, "compiled")
    assert torch._inductor.config.freezing
    assert detector._compiled_call_impl is None
    assert ready._compiled_call_impl is not None
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for one, two in zip(detector(images).cls, ready(images).cls, strict=True):
            torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-4)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "my-c++"
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler, found no `.*my-c\+\+`"):
        optimized(suite.create_detector("scrfd_tiny"), "compiled")
    compiler.touch(mode=0o755)
    assert require_compiler() == str(compiler)


def test_an_unknown_optimization() -> None:
    with pytest.raises(ConfigError, match="expected an optimization among none, folded, compiled, found `fast`"):
        optimized(suite.create_detector("scrfd_tiny"), "fast")


@pytest.mark.parametrize("name", suite.list_detectors("external/*"))
def test_external_detectors_stay_as_they_came(name: str) -> None:
    detector = suite.create_detector(name)
    for how in ("none", "folded"):
        assert optimized(detector, how) is detector
    with pytest.raises(ConfigError, match=f"a detector of this suite to be compiled, found {type(detector).__name__}"):
        optimized(detector, "compiled")
