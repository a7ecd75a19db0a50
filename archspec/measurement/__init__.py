"""The memory of a network on a device, by the word of the compiler for it: see docs/costs.md."""
