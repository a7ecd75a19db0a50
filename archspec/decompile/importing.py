"""`archspec.import_model`: a model file becomes a spec."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archspec.atomic import save
from archspec.decompile.decompiler import Decompiled, decompiled
from archspec.decompile.meaning import as_kind
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.graph.graph import Graph
from archspec.imports.loading import load_model
from archspec.imports.model import ImportedModel
from archspec.spec.document import Spec, choose, validate
from archspec.spec.source import parse
from archspec.text import without_controls

COMMENT = 96
"""Characters of a line of the comment above a spec."""


PROVED = "Compiled, this spec has the layers of the file, with their arguments, shapes and inputs."
"""The last line of the comment above a spec."""


@dataclass(frozen=True, repr=False)
class ImportedSpec(Displayed):
    """The spec of a model file. Print it for its text, or save it."""

    RENDERER = "spec"

    text: str
    """The spec, as YAML."""
    model: ImportedModel
    """The model that the file holds."""
    _decompiled: Decompiled = field(repr=False, compare=False)

    @cached_property
    def spec(self) -> Spec:
        """The spec itself, as `archspec.load` gives it."""
        source = parse(self.text)
        return choose(validate(source), source, None, {})

    @property
    def graph(self) -> Graph:
        """The graph of the spec, whose inputs and outputs are in the order of the file's."""
        return self._decompiled.graph

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The path that each layer of the file has in the spec."""
        pairs = zip(self._decompiled.order, self.graph.nodes, strict=True)
        paths = {index: node.name for index, node in pairs if index >= 0}
        return {node.name: paths[node.index] for node in self.model.graph.nodes}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what the file says and the spec cannot."""
        return (*self.model.notes, *_dropped(self.model))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the text to a file.

        Args:
            path: The file.

        Raises:
            UsageError: It cannot be written.
        """
        save(path, self.text)

    def build(self) -> Any:
        """Return the Keras model of the spec, with the weights of the model file.

        Raises:
            UsageError: The file holds no weights.
        """
        from archspec.decompile.weighted import weighted_model  # noqa: PLC0415  (Keras)

        return weighted_model(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the spec, where it came from, and the layers' names there and here."""
        return {
            "spec": self.spec.to_dict(),
            "text": self.text,
            "file": self.model.path,
            "format": self.model.format,
            "notes": list(self.notes),
            "names": dict(self.names),
        }

    def __repr__(self) -> str:
        """Return one line, as a spec may be in a list."""
        return f"<ImportedSpec {self.model.name}: {len(self.text.splitlines())} lines>"


def import_model(
    model: ImportedModel | str | os.PathLike[str], *, name: str = "", **variables: Any
) -> ImportedSpec:
    """Return the spec that a person would have written for the network in a model file.

    Blocks are recognised, and what repeats becomes a loop. The spec is compiled and compared with
    the model before it is returned: it has the same layers, with the same arguments, at the same
    shapes, joined in the same way.

    Args:
        model: The path of a model file, or what `archspec.load` gives for one.
        name: Name of the network in the spec. Default: the model's.
        variables: What the file lacks, as `archspec.load` takes it: `input=[256, 256, 3]`,
            `weights="yolov3.weights"`.

    Returns:
        The spec. It prints as YAML; `save(path)` writes it, `spec` is it for other functions,
        `names` has the path in the spec of each layer of the file.

    Raises:
        UsageError: The file is damaged, or no spec can say the network, as one with layers that
            archspec does not know.

    Example:
        >>> archspec.import_model("runs/lenet5-1/best.keras").save("net.yaml")
    """
    if not isinstance(model, ImportedModel):
        model = load_model(model, **variables)
    elif variables:
        raise UsageError(
            f"{model.path} is loaded already: `{next(iter(variables))}` is for its path"
        )
    made = decompiled(model.graph, name or model.name, [*_comment(model)])
    return ImportedSpec(made.text, model, made)


def _dropped(model: ImportedModel) -> Iterator[str]:
    """Yield sentences about values that the file counts as parameters, and a spec as constants."""
    for node in model.graph.nodes:
        if not node.op.kind and not node.is_input and node.layer.params:
            kind = as_kind(node.op).kind
            yield (
                f"`{node.name}` has {node.layer.params:,} parameters in the file, which are "
                f"constants of a `{kind}` here."
            )


def _comment(model: ImportedModel) -> Iterator[str]:
    """Yield the lines above a spec that say where it came from."""
    file = os.path.basename(os.path.normpath(model.path))  # noqa: PTH119  (a folder, too)
    params = sum(node.layer.params for node in model.graph.nodes)
    source = f"{file}: {model.format}, {params:,} parameters"
    notes = (note for note in model.notes if note not in model.about_names)
    for sentence in (source, *notes, *_dropped(model), PROVED):
        clean = " ".join(without_controls(sentence).split())
        yield from textwrap.wrap(clean, COMMENT, break_on_hyphens=False) or [""]
