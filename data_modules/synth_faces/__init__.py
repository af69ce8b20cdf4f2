"""Faces drawn by the suite itself, on disk in WIDER FACE's own layout: the data set that needs nothing."""

from .draw import SYNTH_FACES_VERSION
from .generate import generate, is_complete

__all__ = ["SYNTH_FACES_VERSION", "generate", "is_complete"]
