"""Pure tensor functions on boxes: IoU, coders, anchors, assignment, suppression. xyxy pixels throughout."""

from bench.boxes.anchors import AnchorGenerator, Anchors, blazeface_anchor_sizes
from bench.boxes.assigners.assignment import (
    IGNORED,
    NEGATIVE,
    Assigner,
    Assignment,
    BatchBoxes,
    assign_batch,
    assign_image_by_image,
)
from bench.boxes.assigners.atss import ATSSAssigner
from bench.boxes.assigners.max_iou import MaxIoUAssigner
from bench.boxes.coders import DeltaCoder, DistanceCoder
from bench.boxes.geometry import box_area, clip_boxes
from bench.boxes.iou import elementwise_diou, elementwise_iou, pairwise_iou
from bench.boxes.suppression.blending import Blending
from bench.boxes.suppression.detections import Detections, Suppression
from bench.boxes.suppression.nms import Nms
from bench.boxes.suppression.soft_nms import SoftNms

__all__ = [
    "IGNORED",
    "NEGATIVE",
    "ATSSAssigner",
    "AnchorGenerator",
    "Anchors",
    "Assigner",
    "Assignment",
    "BatchBoxes",
    "Blending",
    "DeltaCoder",
    "Detections",
    "DistanceCoder",
    "MaxIoUAssigner",
    "Nms",
    "SoftNms",
    "Suppression",
    "assign_batch",
    "assign_image_by_image",
    "blazeface_anchor_sizes",
    "box_area",
    "clip_boxes",
    "elementwise_diou",
    "elementwise_iou",
    "pairwise_iou",
]
