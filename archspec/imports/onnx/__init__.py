"""ONNX files: read without the onnx package, the weights left on disk."""

from archspec.imports.onnx.reader import read as read
