"""Keras's files: `.keras`, `.h5`, configurations and weights, of every version, without Keras."""
