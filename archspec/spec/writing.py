"""Plain data -> YAML that `archspec.spec.source` reads back as the same data."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes text so that YAML 1.2 takes it for text too, where PyYAML thinks of YAML 1.1."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    like_a_number = text[:1] in tuple("+-.0123456789")
    style = '"' if like_a_number else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: _Dumper, items: tuple[Any, ...]) -> yaml.SequenceNode:
    return dumper.represent_list(list(items))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, _list)


def to_yaml(data: Any) -> str:
    """Return mappings, lists and scalars as YAML; tuples are lists, and nothing is an anchor."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
