"""Keras's configurations as text: JSON of every version, YAML of Keras 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from archspec.imports.keras.guards import CONFIG
from archspec.imports.limits import MOST_JSON, parse_json, read_all, refuse

MOST_YAML: Final = 2**22
"""Bytes of YAML; ResNet-50 has 100 KB."""

MOST_VALUES: Final = 2_000_000
"""Values of YAML, those that it repeats counted each time."""


class _Loader(yaml.SafeLoader):
    """Reads plain data alone; the tuples that Keras writes become lists."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(node),  # type: ignore[arg-type]
)
_Loader.add_multi_constructor(
    "tag:yaml.org,2002:python/",
    lambda _, suffix, __: {"class_name": f"Python's {suffix}"},  # never made: it is code
)


def read_text(path: Path) -> tuple[Mapping[str, Any], str]:
    """Return the configuration in a text, and the name of its format.

    Raises:
        UsageError: It is not a configuration of a network.
    """
    text = read_all(path, MOST_JSON, "a Keras configuration")
    if text.lstrip()[:1] == b"{":
        return parse_json(text, CONFIG, path), "JSON configuration"
    if len(text) > MOST_YAML:
        refuse(path, f"its YAML has {len(text):,} bytes, more than {MOST_YAML:,}")
    try:
        config = yaml.load(text, _Loader)  # noqa: S506  (a safe loader)
        if _size(config, {}) > MOST_VALUES:
            refuse(path, f"its YAML has more than {MOST_VALUES:,} values")
    except (yaml.YAMLError, ValueError) as error:
        refuse(path, f"it is not YAML ({str(error).splitlines()[0]:.200})")
    except RecursionError:
        refuse(path, "it is nested too deeply")
    if not isinstance(config, dict) or "class_name" not in config:
        refuse(path, "it has no `class_name`")
    return config, "YAML configuration"


def _size(value: Any, known: dict[int, int]) -> int:
    """Return the number of values, where what an alias repeats counts again."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) in known:
        return known[id(value)]
    known[id(value)] = MOST_VALUES + 1  # of a list that holds itself
    inner = value.values() if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(value)]
