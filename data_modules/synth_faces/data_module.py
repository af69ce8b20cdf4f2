"""The drawn faces for Lightning."""

from data_modules.loading.data_module import DetectionData
from data_modules.synth_faces.files import SynthFacesFiles


class SynthFaces(DetectionData):
    """Loaders over `SynthFacesFiles`."""

    Files = SynthFacesFiles
