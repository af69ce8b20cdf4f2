"""WIDER FACE for Lightning."""

from data_modules.loading.data_module import DetectionData
from data_modules.wider_face.files import WiderFaceFiles


class WiderFace(DetectionData):
    """Loaders over `WiderFaceFiles`. Decoded, WIDER FACE takes about 2.4 MB an image, 31 GB for train."""

    Files = WiderFaceFiles
