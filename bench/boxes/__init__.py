"""Pure tensor functions on boxes: IoU, coders, anchors, assignment, suppression. xyxy pixels throughout."""

from bench.boxes.anchors import AnchorGenerator, Anchors, blazeface_anchor_sizes
from bench.boxes.assignment import IGNORED, NEGATIVE, Assignment
from bench.boxes.atss import ATSSAssigner
from bench.boxes.blending import Blending
from bench.boxes.coders import DeltaCoder, DistanceCoder
from bench.boxes.geometry import box_area, clip_boxes
from bench.boxes.iou import elementwise_diou, elementwise_iou, pairwise_iou
from bench.boxes.max_iou import MaxIoUAssigner
from bench.boxes.soft_nms import SoftNms
from bench.boxes.suppression import Detections, Nms, Suppression

__all__ = [
    "IGNORED",
    "NEGATIVE",
    "ATSSAssigner",
    "AnchorGenerator",
    "Anchors",
    "Assignment",
    "Blending",
    "DeltaCoder",
    "Detections",
    "DistanceCoder",
    "MaxIoUAssigner",
    "Nms",
    "SoftNms",
    "Suppression",
    "blazeface_anchor_sizes",
    "box_area",
    "clip_boxes",
    "elementwise_diou",
    "elementwise_iou",
    "pairwise_iou",
]
