"""Detectors: the contract, dense one-stage detectors, post-processing, files of predictions."""
