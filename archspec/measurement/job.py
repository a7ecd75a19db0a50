"""A network, a recipe and a device: what is to be compiled, and its mark among others."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from archspec.device import target
from archspec.device.device import Device
from archspec.graph.graph import Graph
from archspec.recipe.train import Recipe

Purpose: TypeAlias = Literal["training", "inference"]

PACKAGES: Final = (
    "keras-archspec",
    "keras",
    "jax",
    "jaxlib",
    "jax-cuda12-plugin",
    "nvidia-cudnn-cu12",
    "libtpu",
)
"""Packages on whose versions a compilation depends."""


@dataclass(frozen=True, slots=True)
class Job:
    """A program to be compiled."""

    graph: Graph
    recipe: Recipe
    """The recipe, of which batch, precision, optimizer, loss and metrics count."""
    device: Device
    purpose: Purpose

    def digest(self, versions: Mapping[str, str]) -> str:
        """Return a text that differs between jobs whose programs may differ.

        Args:
            versions: Versions of the packages that compile.
        """
        hashed = hashlib.sha256()
        for part in (*self._parts(), json.dumps(dict(versions), sort_keys=True)):
            hashed.update(part.encode())
            hashed.update(b"\0")
        return hashed.hexdigest()

    def _parts(self) -> Iterator[str]:
        recipe = self.recipe
        yield self.purpose
        yield self.device.name
        if self.device.platform == "cuda":
            yield target.described(self.device)
        yield f"{recipe.batch} {recipe.precision}"
        if self.purpose == "training":
            yield json.dumps([recipe.optimizer.name, recipe.optimizer.arguments], default=str)
            yield repr((recipe.loss, recipe.metrics))
            yield repr(sorted(self.graph.loss_weights.items()))
        yield repr(sorted(self.graph.outputs.items()))
        for node in self.graph.nodes:
            yield repr((node.name, node.op, node.inputs, tuple(node.shape), node.layer.owner))


def versions() -> dict[str, str]:
    """Return the versions of the installed packages on which a compilation depends."""
    installed = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed
