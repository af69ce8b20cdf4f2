"""Published checkpoints into our modules, and our weights out: safetensors and ONNX."""
