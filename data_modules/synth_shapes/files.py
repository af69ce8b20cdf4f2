"""The drawn shapes on disk: the files of COCO, in a folder that is drawn when it is first asked for."""

from data_modules.coco.files import CocoFiles
from data_modules.loading.drawn import Drawn
from data_modules.synth_shapes.generate import SYNTH_SHAPES_VERSION, generate, is_complete


class SynthShapesFiles(Drawn, CocoFiles):
    """Procedural shapes in COCO's layout."""

    name = "synth_shapes"
    version = SYNTH_SHAPES_VERSION
    draw = staticmethod(generate)
    is_drawn = staticmethod(is_complete)
