"""ONNX: published files into our modules, our detectors out as graphs."""
