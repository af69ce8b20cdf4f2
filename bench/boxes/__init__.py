"""Pure tensor functions on boxes: IoU, coders, anchors, assignment, suppression. xyxy pixels throughout."""
