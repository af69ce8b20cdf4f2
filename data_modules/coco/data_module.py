"""COCO for Lightning."""

from data_modules.coco.files import CocoFiles
from data_modules.loading.data_module import DetectionData


class Coco(DetectionData):
    """Loaders over `CocoFiles`."""

    Files = CocoFiles
