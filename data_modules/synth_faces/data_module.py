"""The drawn faces as a data module: WIDER FACE's, over a folder that is drawn when it is first asked for."""

from data_modules.drawn import Drawn
from data_modules.synth_faces.generate import SYNTH_FACES_VERSION, generate, is_complete
from data_modules.wider_face import WiderFace


class SynthFaces(Drawn, WiderFace):
    """Procedural faces in WIDER FACE's layout."""

    name = "synth_faces"
    version = SYNTH_FACES_VERSION
    draw = staticmethod(generate)
    is_drawn = staticmethod(is_complete)
