"""Darknet's networks: `.cfg` files of sections, and the `.weights` beside them when it is named.

A layer has no name of its own: it is called by its kind and the number that Darknet prints, as
`conv0`. A convolution, its batch norm and its activation are one section, and a node each.
"""

from archspec.imports.darknet.reader import read as read
