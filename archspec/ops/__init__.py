"""The primitives: one class an op, a file a family. What can be a block is not an op."""
