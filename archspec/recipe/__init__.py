"""The `train:` section of a spec, and Keras's objects for it.

`train` is the section, `overrides` merges it with keys that are given beside it; `families`,
`objects` and `arguments` turn names and their arguments into optimizers, losses, metrics, schedules
and callbacks; `compilation` joins these.
"""
