"""Specs become source code that needs no archspec."""
