"""Prediction files: WIDER FACE text and COCO JSON, read and written."""
