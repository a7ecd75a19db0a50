"""Figures of networks: what is drawn where, as marks in points, and files of them."""
