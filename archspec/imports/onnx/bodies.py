"""A file's own operators (functions), written out where they are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from archspec.errors import UsageError
from archspec.imports.onnx.source import Reference, Step

MOST_STEPS: Final = 200_000
"""Largest number of steps, those of the file's own operators written out."""

MOST_BODIES: Final = 50
"""Largest number of a file's own operators, or of branches, inside each other."""


def written_out(
    steps: Iterable[Step],
    functions: Mapping[str, Mapping[str, Any]],
) -> Iterator[Step]:
    """Yield steps, with the body of each of the file's own operators instead of it.

    Args:
        steps: The steps of the graph.
        functions: The operators: `input`, `output`, `steps` and `defaults` by domain and name.

    Raises:
        UsageError: There are more steps, or an operator is inside itself.
    """
    count = 0
    uses = 0

    def expand(step: Step, depth: int) -> Iterator[Step]:
        nonlocal count, uses
        count += 1
        body = functions.get(step.op)
        if depth > MOST_BODIES or count > MOST_STEPS:
            raise UsageError(
                f"the file's own operators become more than {MOST_STEPS:,} layers, or are more "
                f"than {MOST_BODIES} inside each other"
            )
        if body is None:
            yield step
            return
        uses += 1
        names = dict(zip(body["input"], step.inputs, strict=False))
        names |= dict(zip(body["output"], step.outputs, strict=False))
        given = {**body["defaults"], **step.attributes}
        prefix = f"{step.name or step.op}/{uses}/"

        def renamed(name: str) -> str:
            return names.get(name, prefix + name) if name else ""

        for inner in body["steps"]:
            attributes = {
                key: given.get(value.name) if isinstance(value, Reference) else value
                for key, value in inner.attributes.items()
            }
            yield from expand(
                Step(
                    inner.op,
                    f"{step.name}/{inner.name}" if step.name else inner.name,
                    tuple(map(renamed, inner.inputs)),
                    tuple(map(renamed, inner.outputs)),
                    {key: value for key, value in attributes.items() if value is not None},
                ),
                depth + 1,
            )

    for step in steps:
        yield from expand(step, 0)
