"""Guesses at blocks, each from the op at its end: a block, its arguments, and what it reads.

A function here may guess wrong, see `archspec/decompile/recognition.py`.
"""
