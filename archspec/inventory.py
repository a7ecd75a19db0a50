"""The networks that come with archspec, and the kinds of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, get_args

from archspec.display import Displayed

SORTS: Final = ("block", "op", "merge", "word")
"""Sorts of kinds, in the order of a list."""


class Network(NamedTuple):
    """Name of a network, with the literature's figures if there are any."""

    name: str
    params: int | None
    macs: int | None


class Family(NamedTuple):
    """Networks of one file."""

    name: str
    about: str
    tags: tuple[str, ...]
    history: str
    networks: tuple[Network, ...]


@dataclass(frozen=True)
class Networks(Displayed):
    """The networks that come with archspec. Print it, or go through its families."""

    RENDERER = "networks"

    families: tuple[Family, ...]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, as `load` takes them."""
        return (each.name for family in self.families for each in family.networks)

    def __len__(self) -> int:
        return sum(len(family.networks) for family in self.families)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return plain data: the JSON form."""
        return [
            {
                "family": family.name,
                "about": family.about,
                "tags": [*family.tags],
                "history": family.history,
                "variants": [each._asdict() for each in family.networks],
            }
            for family in self.families
        ]


class Kind(NamedTuple):
    """A kind of step, or a word that stands beside one."""

    kind: str
    sort: str
    """One of `SORTS`."""
    about: str


@dataclass(frozen=True)
class Kinds(Displayed):
    """The kinds of steps, those of installed plug-ins too. Print it, or go through it."""

    RENDERER = "kinds"

    kinds: tuple[Kind, ...]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, as a spec writes them."""
        return (each.kind for each in self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def to_dict(self) -> list[dict[str, str]]:
        """Return plain data: the JSON form."""
        return [each._asdict() for each in self.kinds]


def networks(*tags: str) -> Networks:
    """Return the networks that come with archspec.

    Args:
        tags: Only families that have all of these tags, such as `"classification"` and
            `"mobile"`. Default: all families.

    Returns:
        A list that prints itself: families with their networks, each with the parameters and MACs
        of the literature. Going through it gives the names.

    Raises:
        UsageError: There is no such tag.

    Example:
        >>> "vgg16" in archspec.networks()
        True
        >>> "vgg16" in archspec.networks("mobile")
        False
    """
    from archspec import arguments  # noqa: PLC0415
    from archspec.spec.bundled import outlines  # noqa: PLC0415  (other commands list nothing)
    from archspec.spec.document import Tag  # noqa: PLC0415

    wanted = {arguments.one_of("tags", tag, get_args(Tag)) for tag in tags}
    families = []
    for spec in outlines("name", "variants", "published", *Family._fields):
        if not wanted.issubset(spec["tags"]):
            continue
        members = []
        for name in spec.get("variants", [spec["name"]]):
            published = spec["published"].get(name, {})
            members.append(Network(name, _params(published), published.get("macs")))
        families.append(
            Family(
                spec["name"], spec["about"], tuple(spec["tags"]), spec["history"], tuple(members)
            )
        )
    return Networks(tuple(families))


def _params(published: Mapping[str, Any]) -> int | None:
    """Return the published parameters, which may be given in two parts."""
    if "params" not in published and {"trainable", "non_trainable"} <= published.keys():
        return int(published["trainable"] + published["non_trainable"])
    return published.get("params")


def kinds() -> Kinds:
    """Return the kinds of steps that a spec may have.

    Returns:
        A list that prints itself: blocks, ops, merges, and the words that stand beside a kind.
        Going through it gives the names; `archspec.show(name)` explains one.

    Example:
        >>> "residual" in archspec.kinds()
        True
    """
    from archspec.compile import catalog  # noqa: PLC0415
    from archspec.element import summary  # noqa: PLC0415
    from archspec.ops.merge import Merge  # noqa: PLC0415
    from archspec.ops.op import Op  # noqa: PLC0415
    from archspec.reference import WORDS  # noqa: PLC0415

    listed = []
    for kind, cls in sorted(catalog.kinds().items()):
        sort = "merge" if issubclass(cls, Merge) else "op" if issubclass(cls, Op) else "block"
        listed.append(Kind(kind, sort, summary(cls)))
    listed += [Kind(word, "word", each.about) for word, each in WORDS.items()]
    return Kinds(tuple(sorted(listed, key=lambda each: SORTS.index(each.sort))))
