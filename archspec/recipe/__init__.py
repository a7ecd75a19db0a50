"""Recipe -> Keras's objects: optimisers, losses, metrics, schedules, callbacks."""
