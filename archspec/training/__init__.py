"""Training a network by its recipe, into a run's folder. Keras does the work.

`fit` trains in a `session`, which joins a recipe, Keras's objects for it and the data. `progress`
and `events` report to people and programs; the `recorder` writes checkpoints and history.
"""
