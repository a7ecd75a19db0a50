"""Finding a spec: a path, a bundled family (`vgg`), or the name of a variant (`vgg16`).

A path or a family may carry its variant behind a colon: `mine.yaml:small`, `vgg:vgg19`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from archspec import arguments
from archspec.errors import UsageError, nearest
from archspec.spec.bundled import bundled, mentioning, names_of_networks, read_bundled
from archspec.spec.document import Spec, Validated, choose, validate
from archspec.spec.source import Source, read


def load(spec: str | os.PathLike[str], variant: str | None = None, /, **variables: Any) -> Spec:
    """Return the spec at a path, or the one that comes with archspec under a name.

    Args:
        spec: A path (`"mine.yaml"`), a family (`"vgg"`), or one of its variants (`"vgg16"`). A
            variant may also follow a colon: `"mine.yaml:wide"`.
        variant: Which member of the family. Default: the one called like the family,
            or the first.
        variables: Values of the spec's variables, and `input`: `classes=10`, `input=[32, 32, 3]`.

    Returns:
        The spec: one network, with its variables set. It is not compiled yet; `archspec.report`
        and `archspec.build` do that.

    Raises:
        SpecError: The file cannot be read as a spec.
        UsageError: A name, a variant or a variable does not exist.

    Example:
        >>> archspec.load("vgg", "vgg19", classes=10).name
        'vgg19'
    """
    arguments.place("spec", spec)
    if variant is not None:
        arguments.text("variant", variant)
    source, validated, named = find(spec)
    if variant and named not in (None, variant):
        raise UsageError(f"`{os.fspath(spec)}` is one network: it has no variant `{variant}`")
    return choose(validated, source, variant or named, variables)


def as_spec(spec: Spec | str | os.PathLike[str], *, inference: bool = False) -> Spec:
    """Return a spec as it is, or that of a path or a name; for `inference` without its heads.

    Raises:
        UsageError: An argument is something else.

    """
    arguments.flag("inference", inference)
    if not isinstance(spec, Spec):
        spec = load(path_or_name("spec", spec))
    return replace(spec, inference=True) if inference else spec


def as_networks(
    specs: Iterable[Spec | str | os.PathLike[str]], *, inference: bool = False
) -> Iterator[Spec]:
    """Yield specs as they are, and all networks that a path or a name among them means.

    Raises:
        UsageError: An argument is something else.

    """
    arguments.flag("inference", inference)
    for spec in specs:
        known = (spec,) if isinstance(spec, Spec) else networks(path_or_name("specs", spec))
        for each in known:
            yield replace(each, inference=True) if inference else each


def path_or_name(argument: str, spec: Any) -> str:
    """Return a path or name as text; raise `UsageError` for other values of such an argument."""
    if isinstance(spec, (str, os.PathLike)):
        return arguments.place(argument, spec)
    several = argument == "specs" and isinstance(spec, (list, tuple))
    hint = "; write `*specs` for a list of them" if several else ""
    raise arguments.wrong(argument, spec, "a path, a name, or what `archspec.load` gives", hint)


def networks(spec: str | os.PathLike[str], /, **variables: Any) -> tuple[Spec, ...]:
    """Return all networks that a path or a name means: a family's variants, or the one named.

    A name that a family shares with one of its variants (`alexnet`) means that variant.
    """
    source, validated, named = find(spec)
    variants = validated.document.variants
    if named is None and os.fspath(spec) in variants:
        named = os.fspath(spec)
    chosen: list[str | None] = [named] if named else [*variants]
    return tuple(choose(validated, source, each, variables) for each in chosen or [None])


def find(spec: str | os.PathLike[str]) -> tuple[Source, Validated, str | None]:
    """Return the document that a path or a name means, and the variant if one is named."""
    name = os.fspath(spec)
    if "\n" in name and not _is_file(name):
        raise UsageError("a spec is given by the path of its file, or by a name, not by its text")
    family, colon, variant = name.rpartition(":")
    if colon and variant and os.sep not in variant and not _is_file(name):
        source, validated, named = find(family)
        if named is not None:
            raise UsageError(f"`{family}` is one network: it has no variant `{variant}`")
        return source, validated, variant
    if _looks_like_a_path(name) and not _is_published_as(name):
        source = read(name)
        return source, validate(source), None
    if name in bundled():
        source = read_bundled(name)
        return source, validate(source), None
    for family in mentioning(name):
        source = read_bundled(family)
        validated = validate(source)
        if name in validated.document.variants:
            return source, validated, name
    raise UsageError(f"there is no spec called `{name}`; {_hint(name)}")


def locate(spec: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Return the path of the file that a path or a name means, and the variant if one is named.

    The file of a path is not read: it may have mistakes, or be missing.
    """
    name = os.fspath(spec)
    family, colon, variant = name.rpartition(":")
    if colon and variant and os.sep not in variant and not _is_file(name):
        if _looks_like_a_path(family):
            return family, variant
    elif _looks_like_a_path(name):
        return name, None
    source, _, named = find(name)
    return source.name, named


def _looks_like_a_path(name: str) -> bool:
    return os.sep in name or "." in name or (_is_file(name) and name not in bundled())


def _is_file(name: str) -> bool:
    # `Path.is_file` raises an error for a name that is too long to be a file's.
    return os.path.isfile(name)  # noqa: PTH113


def _is_published_as(name: str) -> str | None:
    """Return the network that a paper writes so where there is no such file: `ViT-B/16`."""
    if os.path.lexists(name):
        return None
    plain = _letters(name)
    return next((each for each in names_of_networks() if _letters(each) == plain), None)


def _begins_alike(name: str, names: Iterable[str]) -> str | None:
    """Return the first name that this one begins, or else the longest that begins this one."""
    plain = _letters(name)
    longer = (each for each in names if len(plain) > 3 and _letters(each).startswith(plain))
    within = [each for each in names if plain.startswith(_letters(each))]
    return next(longer, None) or max(within, key=len, default=None)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _hint(name: str) -> str:
    names = names_of_networks()
    match = _is_published_as(name) or nearest(name, names) or _begins_alike(name, names)
    if match:
        return f"did you mean `{match}`?"
    return "give a file's path, or a name of `archspec.networks()`"
