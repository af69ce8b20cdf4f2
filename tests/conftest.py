"""Fixtures every test may use."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from bench.grid.nursery import Nursery

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


COMMANDS = ["bench.__main__", "bench.run.weights", "bench.run.submission", "bench.grid.worker", "bench.run.train"]
COMMANDS += [f"bench.verbs.{verb}" for verb in ("data", "evaluate", "predict", "profile", "train", "weights", "grid")]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Forks commands that need not import torch each anew."""
    nursery = Nursery(COMMANDS, {})
    yield nursery
    nursery.close()


@pytest.fixture
def bench(tmp_path: Path, drawn: Path, nursery: Nursery) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real command as a process in a folder of its own: `bench("grid", "mini")`."""

    def call(*words: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
        with TemporaryFile() as nothing, TemporaryFile() as output, TemporaryFile() as error:
            more = {"folder": str(tmp_path), "environment": command_environment(**environment)}
            process = nursery.start("bench.__main__:main", [nothing, output, error], words, **more)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            said = [file.seek(0) or file.read().decode() for file in (output, error)]
        return subprocess.CompletedProcess(list(words), process.returncode or 0, *said)

    return call


def command_environment(**more: str) -> dict[str, str]:
    return {**os.environ, "WANDB_SILENT": "true", **more}


@pytest.fixture
def waits() -> Callable[[Callable[[], Any]], Counter[str]]:
    """Counts the operations of a call that need a value from the device; a boolean index is one of them."""
    from torch import Tensor  # seconds, and few tests ask for it
    from torch.utils._python_dispatch import TorchDispatchMode

    names = ("aten.nonzero", "aten._local_scalar_dense", "aten.masked_select", "aten.is_nonzero", "aten.equal")

    class Waits(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.found: Counter[str] = Counter()

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = str(func.overloadpacket)
            indices = [x for x in args[1] if x is not None] if name.startswith("aten.index") and len(args) > 1 else []
            if name in names or any(isinstance(x, Tensor) and "bool" in str(x.dtype) for x in indices):
                self.found[name] += 1
            return func(*args, **(kwargs or {}))

    def count(run: Callable[[], Any]) -> Counter[str]:
        with Waits() as mode:
            run()
        return mode.found

    return count
