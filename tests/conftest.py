"""Fixtures every test may use."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Tests run in several processes: threads of their own would wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of datasets lies in a folder of this session: a user's memory is neither read nor written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party material for measuring (real images, published weights, golden results); skipped where absent."""
    folder = Path(os.environ.get("BENCH_SHARED", PROJECT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no third-party material at {folder}; set BENCH_SHARED to run this test")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder below which `data=synth_faces data.root=...` finds its tiny sets drawn once for all tests."""
    return tmp_path_factory.getbasetemp().parent / "drawn"


@pytest.fixture
def bench(tmp_path: Path, drawn: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real command in a folder of its own: `bench("grid", "mini")`."""

    def call(*words: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=tmp_path,
            env=command_environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return call


def command_environment(**more: str) -> dict[str, str]:
    return {**os.environ, "WANDB_SILENT": "true", **more}
