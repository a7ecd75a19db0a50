"""Costs of a graph, memory, receptive fields, claims, comparisons: numbers only, all exact."""
