"""Accelerators by name: memory, bandwidth, peak rates, and what XLA must know of them."""
