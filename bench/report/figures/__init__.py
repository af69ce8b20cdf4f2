"""Drawn figures: the Pareto plot, AP by object size, the interaction plot; what they share in style."""
