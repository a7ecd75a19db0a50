"""A graph back to the spec that a person would have written.

The way there: each op in its shortest form (`meaning.py`); blocks recognised by their own expansion
(`recognition.py`, `proposals/`); steps in sequences and branches (`arrangement.py`); loops
(`rolling.py`); text (`writing.py`). The text is then compiled, and its graph compared with the one
that it was made from (`proof.py`): a spec that says something else is never returned.
"""
