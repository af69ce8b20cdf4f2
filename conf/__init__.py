"""Hydra configurations, installed beside the package so that the command works from any directory."""
