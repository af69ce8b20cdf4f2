"""Shapes drawn by the suite itself, on disk in COCO's own layout: the synthetic twin of COCO."""
