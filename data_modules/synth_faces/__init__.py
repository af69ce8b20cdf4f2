"""Faces drawn by the suite itself, on disk in WIDER FACE's own layout: the data set that needs nothing."""
