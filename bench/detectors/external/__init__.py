"""Detectors of other makers: an ONNX file, a torchvision model."""
