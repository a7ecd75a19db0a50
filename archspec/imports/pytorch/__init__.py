"""PyTorch's `torch.export` archives, `.pt2`, read without torch.

The graph has ATen's operators. Each is written as the steps of ONNX that do the same, and read as
an ONNX file is; `archspec.imports.onnx` then knows one vocabulary.
"""

from archspec.imports.pytorch.reader import read as read
