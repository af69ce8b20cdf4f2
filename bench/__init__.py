"""bench: compare detectors honestly, under one protocol, one evaluator, one cost counter and one clock."""

from typing import Any

__all__ = ["create_detector", "list_detectors"]


def __getattr__(name: str) -> Any:
    """Import PyTorch only when a detector is asked for."""
    if name in __all__:
        from bench.detectors import create

        return getattr(create, name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")
