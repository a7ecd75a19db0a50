"""Curves, confusion matrices: SVG and PNG."""
