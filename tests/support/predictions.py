"""Scores of predictions that a test makes up."""

from archspec.evaluation.scores import Scores
from archspec.evaluation.tally import TOP, Tally


def measure(labels, predictions, classes, top=TOP) -> Scores:
    """Scores of probabilities, (images, classes)."""
    tally = Tally(classes, top=top)
    tally.add(labels, predictions)
    return tally.scores()
