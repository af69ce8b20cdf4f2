"""The drawn faces on disk: the files of WIDER FACE, in a folder that is drawn when it is first asked for."""

from pathlib import Path
from typing import Any

from data_modules.loading.drawn import Drawn
from data_modules.synth_faces.manifest import SYNTH_FACES_VERSION, is_complete
from data_modules.wider_face.files import WiderFaceFiles


def draw(folder: Path, **options: Any) -> None:
    """See `generate`, which is imported where something is drawn: SciPy's splines take long to import."""
    from data_modules.synth_faces.generate import generate

    generate(folder, **options)


class SynthFacesFiles(Drawn, WiderFaceFiles):
    """Procedural faces in WIDER FACE's layout."""

    name = "synth_faces"
    version = SYNTH_FACES_VERSION
    draw = staticmethod(draw)
    is_drawn = staticmethod(is_complete)
