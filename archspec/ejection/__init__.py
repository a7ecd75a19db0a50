"""Specs as source code that needs no archspec."""
