"""Trained networks: their scores on images of known classes, and their predictions."""
