"""Lightning data modules: real datasets in their official layouts, and synthetic twins drawn on the spot.

`DESCRIBED_BY` names for each data module the class that knows its files: it takes those of the data module's arguments
that say what is read, answers `summary` and `truth` as the data module does, and needs no torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Coco": "data_modules.coco",
    "SynthFaces": "data_modules.synth_faces",
    "SynthShapes": "data_modules.synth_shapes",
    "WiderFace": "data_modules.wider_face",
}
DESCRIBED_BY = {name: f"{home}.files.{name}Files" for name, home in _HOMES.items()}
__all__ = ["DESCRIBED_BY", *_HOMES]


def __getattr__(name: str) -> Any:
    """The data modules, imported on first use, since that takes Lightning along."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{_HOMES[name]}.data_module"), name)
