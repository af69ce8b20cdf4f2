"""`bench profile`: overrides of a detector, external detectors, optimized ones, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch

import bench as suite
from bench.config import compose
from bench.cost.complexity import measure_complexity
from bench.errors import ConfigError
from bench.run.records import cost_of
from bench.verbs import profile as verb
from bench.weights.onnx.export import export_onnx

Bench = Callable[..., CompletedProcess[str]]
SMALL = ["profile.input_size=[64,96]", "profile.repeats=2", "profile.warmup=1"]


def profiled(*words: str) -> dict[str, Any]:
    return verb.profile(compose("profile", [*SMALL, *words]))


def test_overrides_of_the_detector_count(bench: Bench) -> None:
    words = ["detector.model.head.channels=64", "detector.model.head.depth=2"]
    done = bench("profile", "scrfd_tiny", *words, "profile.latency=false", "format=json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    changed = suite.create_detector("scrfd_tiny", head={"channels": 64, "depth": 2})
    cost = measure_complexity(changed, (480, 640))
    assert (row["params"], row["macs"]) == (cost.params, cost.macs)
    assert cost.macs != measure_complexity(suite.create_detector("scrfd_tiny"), (480, 640)).macs
    assert row["overrides"] == words


def test_overrides_of_one_detector_beside_several_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """That they are seen on the command line, the test above shows."""
    monkeypatch.setattr(verb, "detector_overrides", lambda: ["detector.model.divisor=64"])
    with pytest.raises(ConfigError, match=r"`detector.model.divisor=64` would be ignored\. Profile one with detector="):
        verb.chosen_detectors(compose("profile", ["detectors=[scrfd_tiny,blazeface_tiny]"]))


def test_several_detectors_share_what_is_not_theirs() -> None:
    config = compose("profile", ["detectors=[scrfd_tiny,blazeface_tiny]", "protocol.iou_threshold=0.3", *SMALL])
    chosen = verb.chosen_detectors(config)
    assert [one.detector.name for one in chosen] == ["scrfd_tiny", "blazeface_tiny"]
    assert [one.postprocess.processor.suppression.iou_threshold for one in chosen] == [0.3, 0.3]
    assert config.detector.name == "scrfd_tiny"
    with pytest.raises(ConfigError, match=r"no detector `scrfd_tony`; there are .*scrfd_tiny"):
        verb.chosen_detectors(compose("profile", ["detectors=[scrfd_tony]"]))


def test_records_and_profile_have_one_cost() -> None:
    row = profiled("detector=scrfd_tiny", "profile.latency=false")
    cost = cost_of(measure_complexity(suite.create_detector("scrfd_tiny"), (64, 96))).model_dump(mode="json")
    assert {key: json.loads(json.dumps(row[key])) for key in cost} == cost
    assert row["macs_backbone"] == sum(row["macs_by_component"][part] for part in ("stem", "c2", "c3", "c4", "c5"))
    assert row["cost_left_out"] is None


def test_an_external_detector_is_timed_and_its_cost_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    export_onnx(suite.create_detector("scrfd_tiny"), tmp_path / "w.onnx")
    given = ["detector=external/scrfd_exported", f"weights={tmp_path / 'w.onnx'}"]
    row = profiled(*given)
    assert row["params"] is row["macs"] is row["macs_by_component"] is None
    assert "external" in row["cost_left_out"]
    assert row["input_size"] == [64, 96]
    assert row["speed"]["speed/cpu_fp32_b1/forward_ms_min"] > 0
    verb.show([row])
    assert "cost left" in capsys.readouterr().out
    fixed = profiled(*given, "detector.model.fixed_size=[128,160]", "profile.input_size=null")
    assert fixed["input_size"] == [128, 160]
    with pytest.raises(ConfigError, match=r"an ONNX detector runs on the CPU .* found cpu and bf16"):
        profiled(*given, "profile.precision=bf16")
    with pytest.raises(ConfigError, match=r"expected an ONNX file, found none; give weights=FILE"):
        profiled(given[0])


def test_optimized_detectors_are_timed_at_the_same_cost() -> None:
    plain, folded = (profiled("detector=scrfd_tiny", f"profile.optimize={how}") for how in ("none", "folded"))
    assert (plain["optimize"], folded["optimize"]) == ("none", "folded")
    assert folded["macs"] == plain["macs"]
    assert folded["params"] == plain["params"]
    with pytest.raises(ConfigError, match=r"compiles in the first call; expected profile.warmup of at least 1"):
        profiled("detector=scrfd_tiny", "profile.optimize=compiled", "profile.warmup=0")


def test_several_looks_have_a_cost_and_no_latency() -> None:
    looks = ["detector=scrfd_tiny", "protocol=wider_multi_scale", "profile.input_size=null"]
    with pytest.raises(ConfigError, match="`wider_multi_scale` looks at an image several times"):
        profiled(*looks)
    row = profiled(*looks, "profile.latency=false")
    one = measure_complexity(suite.create_detector("scrfd_tiny"), (480, 640)).macs
    assert row["macs"] == 28 * one  # 2 (1 + 4 + 9)


def test_threads_are_set_before_the_detector_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of onnxruntime keeps the threads that it begins with."""
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(verb, "profile", lambda config: seen.append(torch.get_num_threads()) or {})
    monkeypatch.setattr(verb, "write_json", lambda rows: None)
    try:
        verb.run(compose("profile", [f"profile.threads={before + 1}", "format=json"]))
    finally:
        torch.set_num_threads(before)
    assert seen == [before + 1]
