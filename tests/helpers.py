"""What several test modules need: specs from text."""

from typing import Any

from archspec.spec.document import Spec, choose, validate
from archspec.spec.source import parse


def spec_of(text: str, variant: str | None = None, **variables: Any) -> Spec:
    """The spec written in `text`."""
    source = parse(text)
    return choose(validate(source), source, variant, variables)
