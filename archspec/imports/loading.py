"""Networks by a path or a name: a model file where the path is one's, else a spec.

Every function that takes a network asks here; `archspec.spec.loading` finds specs alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, cast

from archspec import arguments
from archspec.errors import UsageError
from archspec.imports.formats import Format, find_format, read, refuse_unread
from archspec.imports.model import ImportedModel, Network
from archspec.spec import loading
from archspec.spec.bundled import bundled
from archspec.spec.document import Spec


def load(
    network: str | os.PathLike[str], variant: str | None = None, /, **variables: Any
) -> Spec | ImportedModel:
    """Return the spec at a path or under a name, or the model in a model file.

    Args:
        network: The path of a spec (`"mine.yaml"`), a family that comes with archspec (`"vgg"`), or
            one of its variants (`"vgg16"`). A variant may also follow a colon: `"mine.yaml:wide"`.
            Or the path of a model file: Keras's, ONNX, TFLite, a SavedModel's folder, PyTorch's
            `.pt2`, a Darknet `.cfg`, a Caffe `.prototxt`.
        variant: Which member of the family. Default: the one called like the family,
            or the first.
        variables: Values of the spec's variables, and `input`: `classes=10`, `input=[32, 32, 3]`.
            Of a model file, what it lacks: `input=[256, 256, 3]` where extents are open,
            `weights="yolov3.weights"` of a Darknet `.cfg`, a `.caffemodel` of a `.prototxt`.

    Returns:
        The spec: one network, with its variables set. It is not compiled yet; `archspec.report`
        and `archspec.build` do that. Of a model file, an `ImportedModel`: its graph and all that
        the file says. No other program is needed to read it, and nothing in it is run.

    Raises:
        SpecError: The file cannot be read as a spec.
        UsageError: A name, a variant or a variable does not exist, or a model file is damaged.

    Example:
        >>> archspec.load("vgg", "vgg19", classes=10).name
        'vgg19'
    """
    arguments.place("spec", network)
    format_ = _format_of(network)
    if format_ is None:
        return loading.load(network, variant, **variables)
    model = read(network, format_, **variables)
    if variant is not None:
        raise UsageError(f"{model.path} is a model file: it has no variant `{variant}`")
    return model


def as_network(network: Network | str | os.PathLike[str], *, inference: bool = False) -> Network:
    """Return a network as it is, or that of a path or a name; of a spec for `inference` no heads.

    Raises:
        UsageError: An argument is something else.
    """
    if isinstance(network, str | os.PathLike):
        network = _model(network) or network
    return (
        network
        if isinstance(network, ImportedModel)
        else loading.as_spec(network, inference=inference)
    )


def as_networks(
    networks: Iterable[Network | str | os.PathLike[str]], *, inference: bool = False
) -> Iterator[Network]:
    """Yield networks as they are, and all that a path or a name among them means.

    Raises:
        UsageError: An argument is something else.
    """
    for each in networks:
        model = _model(each) if isinstance(each, str | os.PathLike) else each
        if isinstance(model, ImportedModel):
            yield model
        else:
            yield from loading.as_networks([model or each], inference=inference)  # type: ignore[list-item]


def members(network: str | os.PathLike[str], /, **variables: Any) -> tuple[Network, ...]:
    """Return all networks that a path or a name means: a family's variants, or a file's model.

    Raises:
        SpecError: The file cannot be read as a spec.
        UsageError: A name or a variable does not exist, or a model file is damaged.
    """
    if _format_of(network) is None:
        return loading.networks(network, **variables)
    return (load(network, **variables),)


def spec_for(
    what: str, network: Network | str | os.PathLike[str], *, inference: bool = False
) -> Spec:
    """Return a spec as it is, or that of a path or a name; for `inference` without its heads.

    Args:
        what: What needs the spec, for the message: "`archspec.fit`".
        network: What a user gave.
        inference: Whether to leave out the heads.

    Raises:
        UsageError: It is a model file, or something else.
    """
    needs_spec(network, what)
    return loading.as_spec(cast("Spec", network), inference=inference)


def needs_spec(network: Any, what: str) -> None:
    """Raise `UsageError` for a model file where a spec is needed.

    Args:
        network: What a user gave.
        what: What needs the spec, for the message: "`archspec.fit`".
    """
    if isinstance(network, ImportedModel):
        path = network.path
    elif isinstance(network, str | os.PathLike) and (format_ := _format_of(network)):
        path = os.fspath(network)
        refuse_unread(path, format_)
    else:
        return
    raise UsageError(
        f"{what} needs a spec, and {path} is a model file: `archspec import {path} -o net.yaml` "
        "makes a spec of it"
    )


def is_model_file(network: Any) -> bool:
    """Return whether a value is the path of a model file."""
    return isinstance(network, str | os.PathLike) and _format_of(network) is not None


def load_model(path: str | os.PathLike[str], **variables: Any) -> ImportedModel:
    """Return the model in a model file.

    Args:
        path: The path of the file.
        variables: What it lacks, as `load` takes it.

    Raises:
        UsageError: It is not a model file, or damaged.
    """
    arguments.place("model", path)
    # A file of another kind is not parsed as a spec, whose faults would mislead.
    is_other = os.path.isfile(path) and not is_model_file(path)  # noqa: PTH113
    model = None if is_other else load(path, **variables)
    if not isinstance(model, ImportedModel):
        raise UsageError(
            f"{os.fspath(path)} is not a model file: it is a spec already, or of a format that "
            "archspec does not read"
        )
    return model


def _model(path: str | os.PathLike[str]) -> ImportedModel | None:
    """Return the model in a model file; None for a spec or a name."""
    format_ = _format_of(path)
    return None if format_ is None else read(path, format_)


def _format_of(path: str | os.PathLike[str]) -> Format | None:
    """Return the format of a model file; None for a spec or a name.

    A network of archspec's goes before a folder that is called like it.
    """
    name = os.fspath(path)
    is_name = os.sep not in name and "." not in name and name in bundled()
    if is_name:
        return None
    file, colon, variant = name.rpartition(":")
    if colon and not os.path.lexists(name) and find_format(file):
        raise UsageError(f"{file} is a model file: it has no variant `{variant}`")
    return find_format(path)
