"""The page of a network: its figure, its table and its memory in one file that a browser shows."""
