"""Declarations: frozen classes whose annotations say what their values may be.

They are declared as pydantic's models are, and pydantic decides about their values, says what is
wrong with one, and describes them as JSON Schema. But its import takes longer than all else that
`archspec build` does. So a class first reads its values itself, by functions made of the
annotations, which know the common types and leave to pydantic what they are not sure of: every
wrong value, and every type that they do not know. `tests/test_declaration.py` holds that both read
a value alike.

A module that declares such classes has no `from __future__ import annotations`: the types are
needed, and to parse them again from strings would take longer than all else.
"""
