"""What a spec's `train:` section says, as a value."""
