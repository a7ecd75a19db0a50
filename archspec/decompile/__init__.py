"""Graphs become the text of specs: blocks recognised, loops rolled up again, variables found."""
