"""Augmentation for training and resizing rules for evaluation."""

from data_modules.transforms.flip import HorizontalFlip
from data_modules.transforms.resize import KeepSize, ResizeLongSide, ResizeShortLong
from data_modules.transforms.sample import Sample
from data_modules.transforms.square_crop import SQUARE_CROP_SCALES, SQUARE_CROP_SCALES_REDISTRIBUTED, SquareCrop
from data_modules.transforms.train import TrainTransform

__all__ = [
    "SQUARE_CROP_SCALES",
    "SQUARE_CROP_SCALES_REDISTRIBUTED",
    "HorizontalFlip",
    "KeepSize",
    "ResizeLongSide",
    "ResizeShortLong",
    "Sample",
    "SquareCrop",
    "TrainTransform",
]
