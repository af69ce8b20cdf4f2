"""Training images that stay on the device, and are cropped, resized, mirrored and distorted there."""

from data_modules.loading.device.loader import DeviceTrainLoader
from data_modules.loading.device.resident import ResidentImages

__all__ = ["DeviceTrainLoader", "ResidentImages"]
