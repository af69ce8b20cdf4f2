"""The drawn shapes for Lightning."""

from data_modules.loading.data_module import DetectionData
from data_modules.synth_shapes.files import SynthShapesFiles


class SynthShapes(DetectionData):
    """Loaders over `SynthShapesFiles`."""

    Files = SynthShapesFiles
