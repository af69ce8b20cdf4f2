"""Heads: pyramid features in, one tuple (class logits, box deltas, keypoint deltas or None) of per-level lists out.

Every head lays channels out anchor-major: channel = anchor * values + value.
"""
