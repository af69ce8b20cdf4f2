"""COCO, and any dataset in its layout."""
