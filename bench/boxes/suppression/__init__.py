"""Candidates to detections: one suppression a file, what they take and give in `detections`."""
