"""A network as data: layers at known shapes, joined by edges. The builder makes it step by step."""
