"""Reads what TensorFlow writes, SavedModels and TFLite files, without it: as ONNX's operators."""
