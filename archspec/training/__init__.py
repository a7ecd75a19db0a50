"""Training: a recipe, data, and a run folder that explains itself. Keras does the work.

`run` trains in a `session`, which joins what the rooms give: `recipe` what the spec says,
`compilation` Keras's objects for it, `data` batches. `watching` tells how it goes, `scoring` and
`pictures` what came of it.
"""
