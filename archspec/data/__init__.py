"""Images and labels: where they come from, how they are split, read, changed and fed."""
