"""What several test modules need: specs from text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archspec.compile.expand import expand
from archspec.data.preprocessing import Preprocessing
from archspec.graph.graph import Graph
from archspec.runs.records import DataRecord, PartSizes
from archspec.spec.document import Spec, choose, validate
from archspec.spec.source import parse


def spec_of(text: str, variant: str | None = None, **variables: Any) -> Spec:
    """The spec written in `text`."""
    source = parse(text)
    return choose(validate(source), source, variant, variables)


def describe_run(folder: Path, text: str, class_names: Iterable[str], **preparing: Any) -> None:
    """Write what a run's folder says of its beginning, for the spec in `text`."""
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    prepared = Preprocessing(**({"mean": (0.0,), "deviation": (1.0,)} | preparing))
    sizes = PartSizes(1, 1, 1)
    DataRecord("some", "some", sizes, tuple(class_names), prepared, "none", "nothing").write(folder)


def graph_of(layers: str, extent: str = "[8, 8, 4]") -> Graph:
    """The network of these steps in YAML's short form, as `conv: 8, flatten, fc: 10`."""
    return expand(spec_of(f"{{name: net, input: {extent}, layers: [{layers}]}}"))
