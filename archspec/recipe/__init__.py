"""Recipe -> Keras's objects: optimizers, losses, metrics, schedules, callbacks."""
