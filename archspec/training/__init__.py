"""Training: a recipe, data, and a run folder that explains itself. Keras does the work."""
