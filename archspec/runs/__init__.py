"""A run's folder: the one owner of its files' names, and of what reads and writes them.

`files` names every file. `folder` makes and claims the folder, and writes files whole. `reading`
reads a JSON file against the value it is to hold; the values are in `records`, `outcome` and
`checkpoint`.
"""
