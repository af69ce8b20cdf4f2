"""Decoded images, kept on disk for later epochs."""
