"""Losses, one formula a file, and the criterion that puts a classification, a box and a keypoint loss together."""
