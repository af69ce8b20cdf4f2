"""Evaluators: `update` with predictions and targets, `compute` to a flat dict of floats (fractions, not percent)."""
