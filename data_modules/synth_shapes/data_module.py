"""The drawn shapes as a data module: COCO's, over a folder that is drawn when it is first asked for."""

from data_modules.coco import Coco
from data_modules.drawn import Drawn
from data_modules.synth_shapes.generate import SYNTH_SHAPES_VERSION, generate, is_complete


class SynthShapes(Drawn, Coco):
    """Procedural shapes in COCO's layout."""

    name = "synth_shapes"
    version = SYNTH_SHAPES_VERSION
    draw = staticmethod(generate)
    is_drawn = staticmethod(is_complete)
