"""A run's folder: its files' names (`files`), and the code that reads and writes them.

`folder` makes and claims the folder and writes files whole. `storage` reads a JSON file as the
value that it holds; `origin`, `records`, `outcome` and `checkpoints` define these values.
"""
