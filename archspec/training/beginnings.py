"""What a run's folder says of its beginnings: on what is trained what, and where."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from archspec import __version__
from archspec.spec.writing import to_yaml
from archspec.training import folder
from archspec.training.session import Session
from archspec.training.transfer import Begun
from archspec.training.watching import machine

SPEC: Final = "spec.yaml"
"""The network with its variables, and the whole recipe: `archspec fit RUN/spec.yaml` repeats it."""

DATA: Final = "data.json"
ENVIRONMENT: Final = "environment.json"
TRANSFER: Final = "transfer.json"
"""From which weights a run began that did not begin with random ones."""

VERSIONS: Final = (
    "keras", "tensorflow", "jax", "torch",
    "numpy", "pillow", "opencv-python-headless", "scikit-learn",
)  # fmt: skip


def write(session: Session, home: Path) -> None:
    """Write all that is known before the first step; a run that goes on adds a sitting."""
    folder.write_text(home / SPEC, _spec(session))  # with it a run can go on
    folder.write_text(home / DATA, _data(session))
    folder.write_text(home / ENVIRONMENT, _environment(session, home))
    if session.begun is not None:
        folder.write_text(home / TRANSFER, json.dumps(asdict(session.begun), indent=2) + "\n")


def begun(home: Path) -> Begun | None:
    """What a run began with, from its folder; None where that does not say."""
    try:
        held = json.loads((home / TRANSFER).read_text(encoding="utf-8"))
        held["layers"] = tuple(map(tuple, held["layers"]))
        return Begun(**{**held, "new": tuple(held["new"]), "steps": tuple(held["steps"])})
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _spec(session: Session) -> str:
    """The network and the recipe; its paths are whole, for a run that goes on from elsewhere."""
    recipe = session.recipe.to_dict()
    for section, key in (("data", "path"), ("transfer", "from")):
        held = recipe.get(section) or {}
        if held.get(key) and Path(held[key]).exists():
            held[key] = str(Path(held[key]).resolve())
    return to_yaml(session.plan.spec.to_dict() | {"train": recipe})


def _data(session: Session) -> str:
    """On what a run learns; enough to prepare another image in the same way."""
    data = session.data
    held = {
        "source": data.name,
        "description": data.describe(),
        "images": {
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
        "class_names": data.class_names,
        "preprocessing": data.preprocessing.to_dict(),
        "fingerprint": data.fingerprint,
        "fingerprint_covers": data.covers,
        "skipped": data.skipped,
        "notes": data.notes,
    }
    return json.dumps(held, indent=2, ensure_ascii=False) + "\n"


def _environment(session: Session, home: Path) -> str:
    """On what each sitting of a run computes; a run that goes on has another sitting."""
    versions = {"archspec": __version__}
    for name in VERSIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    sitting = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "backend": session.keras.backend.backend(),
        "seed": session.recipe.seed,
        "devices": session.devices.count,
        "hosts": session.devices.hosts.count,
        "machine": machine.describe(session.keras),
        "versions": versions,
    }
    before = []
    with suppress(OSError, ValueError):  # there is none yet, or it is damaged
        before = json.loads((home / ENVIRONMENT).read_text(encoding="utf-8"))
    return json.dumps([*before, sitting], indent=2) + "\n"
