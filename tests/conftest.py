"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party material for measuring (real images, published weights, golden results); skipped where absent."""
    folder = Path(os.environ.get("BENCH_SHARED", PROJECT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no third-party material at {folder}; set BENCH_SHARED to run this test")
    return folder
