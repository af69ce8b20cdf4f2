"""Heads: pyramid features in, `HeadOutputs` out: maps by level of classes, boxes and what else it predicts.

Every head lays channels out anchor-major: channel = anchor * values + value.
"""
