"""Spec -> graph: every step checked and compiled to a plan, then carried out with shapes."""
