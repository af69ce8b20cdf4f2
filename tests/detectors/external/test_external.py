"""What detectors of other makers have in common."""

import pytest

import bench
from bench.config import compose
from bench.detectors.create import build_detector
from bench.errors import ConfigError


def test_external_detectors_are_listed_apart() -> None:
    assert "external/scrfd_2.5g_kps_onnx" in bench.list_detectors("external/*")
    assert not any(name.startswith("external") for name in bench.list_detectors())


@pytest.mark.parametrize("name", bench.list_detectors("external/*"))
def test_what_external_detectors_have_in_common(name: str) -> None:
    """Their operations run elsewhere, their networks stay as they came, and nothing is trained."""
    node = compose("model", [f"detector={name}"]).detector
    detector = build_detector(node)
    assert detector.complexity((480, 640)) is None
    assert detector.folded() is detector
    assert detector.backbone_components() == ()
    with pytest.raises(ConfigError, match="cannot be trained here"):
        detector.losses({}, [])
    with pytest.raises(ConfigError, match=r"has no recipe: it cannot be trained here, only evaluated"):
        build_detector(node, with_recipe=True)
