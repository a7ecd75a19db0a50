"""Declarations: frozen classes whose annotations say what their values may be.

They are declared like pydantic's models; pydantic validates their values, reports errors, and
describes them as JSON Schema. But importing it takes longer than everything else that
`archspec build` does. So a class first reads its values itself, by functions made from the
annotations, which know the common types and leave all other values to pydantic: every wrong value,
and every type that they do not know. `tests/test_declaration.py` proves that both read a value
alike.

`declaration` has the base class, `readers` these functions, `metadata` what may be added to a type.
A module that declares such classes has no `from __future__ import annotations`: the types are
needed, and parsing them again from strings would take longer than everything else.
"""
