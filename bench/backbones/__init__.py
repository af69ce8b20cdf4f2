"""Backbones: images in, feature maps of rising stride out; each names its stem and stages for the cost split."""
