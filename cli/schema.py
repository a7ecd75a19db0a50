"""`archspec schema`: the JSON Schema of specs, for editors and other tools."""

from __future__ import annotations

import click

from .output import as_json, write


@click.command(name="schema")
@click.option("-o", "--output", metavar="FILE", help="Write to a file.")
def command(output: str | None) -> None:
    """Print the JSON Schema of specs, for editors.

    It knows every kind that is installed here. In VS Code, with the YAML extension, a spec is
    completed, explained and checked while you type, once its first line says where the schema is:

    \b
    archspec schema -o archspec.json
    # yaml-language-server: $schema=archspec.json
    """
    from archspec.schema import schema

    write(as_json(schema()), output)
