"""Necks: feature maps of a backbone in, feature maps of one width out."""
