"""`archspec schema`: the JSON Schema of specs, for editors and other tools."""

from __future__ import annotations

import click

from .options import file_option, format_option
from .output import as_json, check_outputs, echo, write


@click.command(name="schema")
@format_option("json")
@file_option("Write to a .json file instead.")
def command(form: str, out: str | None) -> None:  # noqa: ARG001  (JSON is all there is)
    """Print the JSON Schema of specs, for editors.

    It knows every kind that is installed here. In VS Code, with the YAML extension, a spec is
    completed, explained and checked while you type, once its first line says where the schema is:

    \b
    archspec schema -o archspec.json
    # yaml-language-server: $schema=archspec.json
    """
    check_outputs([out] if out not in (None, "-") else [], (".json",))
    from archspec.json_schema import schema

    write(as_json(schema()), out)
    if out not in (None, "-"):
        echo(f"wrote {out}", err=True)
