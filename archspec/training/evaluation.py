"""Trained networks and images of known classes -> how well the networks tell these apart."""

from archspec.training.inference import scores_of

__all__ = ["scores_of"]
