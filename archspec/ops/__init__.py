"""The primitives: one class per op, a file per family. What can be written as a block is not an op."""
