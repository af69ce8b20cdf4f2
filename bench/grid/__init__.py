"""Grids: enumerate cells, run what is missing, keep its records."""
