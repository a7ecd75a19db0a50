"""The JSON Schema of specs: an editor completes, explains and checks by it.

It comes with archspec as a file, as making it takes most of a second. With somebody else's kinds it
is made anew, from the classes.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, TypeAlias

from archspec.compile import catalog

Schema: TypeAlias = dict[str, Any]


class JSONSchema(Schema):
    """The JSON Schema of specs: a mapping that prints itself as JSON."""

    def to_dict(self) -> Schema:
        """Return plain data: the JSON form."""
        return dict(self)

    def __str__(self) -> str:
        return json.dumps(self, indent=2, allow_nan=False)

    def _repr_markdown_(self) -> str:
        return f"```json\n{self}\n```"


def schema() -> JSONSchema:
    """Return the JSON Schema of specs, by which an editor completes, explains and checks them.

    Returns:
        The schema, as a mapping that prints itself as JSON, of every kind that is installed.

    Example:
        >>> archspec.schema()["title"]
        'archspec'
    """
    if catalog.is_extended():
        from archspec.schema_from_classes import generated  # noqa: PLC0415  (imports pydantic)

        return JSONSchema(generated())
    shipped = resources.files("archspec.spec").joinpath("schema.json")
    return JSONSchema(json.loads(shipped.read_text(encoding="utf-8")))
