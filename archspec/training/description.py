"""A session -> the files that describe its run before the first step: spec, data, environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from archspec import __version__, system
from archspec.data.splitting import split_digest
from archspec.runs import folder, origin, records
from archspec.runs.files import SPEC
from archspec.runs.origin import Origin
from archspec.runs.records import VERSION, DataRecord, PartSizes
from archspec.spec.writing import to_yaml
from archspec.training.session import Session

PACKAGES: Final = (
    "keras", "tensorflow", "jax", "torch",
    "numpy", "pillow", "opencv-python-headless", "scikit-learn",
)  # fmt: skip
"""Packages whose versions a run records."""


def write(session: Session, home: Path) -> None:
    """Write the files that are known before the first step, and add this process's environment."""
    recipe, data = _recipe(session), data_record(session)
    network = session.plan.spec.to_dict() | {"train": recipe}
    Origin(VERSION, origin.network(session.plan.spec), recipe, data).write(home)
    data.write(home)
    records.add_environment(home, _environment(session))
    if session.transferred is not None:
        session.transferred.write(home)
    folder.write_text(home / SPEC, to_yaml(network))  # last, as its presence means that all are


def _recipe(session: Session) -> dict[str, Any]:
    """Return the recipe with absolute paths, so that the run can resume from another directory."""
    recipe = session.recipe.to_dict()
    for section, key in (("data", "path"), ("transfer", "from")):
        given = recipe.get(section) or {}
        if given.get(key) and Path(given[key]).exists():
            given[key] = str(Path(given[key]).resolve())
    return recipe


def data_record(session: Session) -> DataRecord:
    """Return the contents of `data.json`."""
    data = session.data
    return DataRecord(
        source=data.name,
        description=data.describe(),
        images=PartSizes(len(data.train), len(data.validation), len(data.test)),
        class_names=data.class_names,
        task=data.task.kind,
        scale=data.scale,
        copies=data.copies or None,
        values=data.values,
        preprocessing=data.preprocessing,
        fingerprint=data.fingerprint,
        fingerprint_covers=data.covers,
        skipped=data.skipped,
        notes=tuple(data.notes),
        split_rule=data.split_rule,
        split=split_digest([part.indices for part in (data.train, data.validation, data.test)]),
        version=VERSION,
    )


def _environment(session: Session) -> Mapping[str, Any]:
    """Return the machine, devices and versions on which this process trains."""
    versions = {"archspec": __version__}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "backend": session.keras.backend.backend(),
        "seed": session.recipe.seed,
        "devices": session.devices.count,
        "hosts": session.devices.hosts.count,
        "machine": system.describe(session.keras),
        "versions": versions,
    }
