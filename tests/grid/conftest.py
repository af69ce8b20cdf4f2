"""Cells over the small drawn sets, as in the tests of runs."""

from ..run.conftest import cell, composed, words

__all__ = ["cell", "composed", "words"]
