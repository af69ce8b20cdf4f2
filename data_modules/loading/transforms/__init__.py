"""Augmentation for training and resizing rules for evaluation."""

from data_modules.loading.transforms.expand import Expand
from data_modules.loading.transforms.flip import HorizontalFlip
from data_modules.loading.transforms.pipeline import Photometric, Pipeline, Pixels
from data_modules.loading.transforms.resize import KeepSize, Letterbox, ResizeLongSide, ResizeShortLong, Stretch
from data_modules.loading.transforms.rotate import Rotate
from data_modules.loading.transforms.sample import Sample
from data_modules.loading.transforms.scale_jitter import ScaleJitter
from data_modules.loading.transforms.square_crop import SQUARE_CROP_SCALES, SQUARE_CROP_SCALES_REDISTRIBUTED, SquareCrop
from data_modules.loading.transforms.square_crop_augmentation import SquareCropAugmentation
from data_modules.loading.transforms.ssd_crop import SSDCrop

__all__ = [
    "SQUARE_CROP_SCALES",
    "SQUARE_CROP_SCALES_REDISTRIBUTED",
    "Expand",
    "HorizontalFlip",
    "KeepSize",
    "Letterbox",
    "Photometric",
    "Pipeline",
    "Pixels",
    "ResizeLongSide",
    "ResizeShortLong",
    "Rotate",
    "SSDCrop",
    "Sample",
    "ScaleJitter",
    "SquareCrop",
    "SquareCropAugmentation",
    "Stretch",
]
