"""Keras learns of archspec's own layers, whichever of the two is imported first.

A saved model names the classes of its layers and of its learning-rate schedule, and Keras looks a
name that is not its own up in a registry: it imports no third party's module on a file's word.
archspec's few register themselves when `keras_model.layers` and `keras_model.schedules` are
imported, which imports Keras, which takes seconds. So `import archspec` only leaves word: when
somebody imports Keras, the two are imported right after, and `keras.models.load_model` knows them.
The same goes for the optimizers that files of the torch backend name (see `optimizers`).

The word is left in `sys.meta_path`, where Python asks each finder in turn for a module. Ours
answers for `keras` alone, with what the other finders say, and stays there for good: taking it
out could make another thread, in the middle of the list, miss the finder that comes next.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def install() -> None:
    """Register archspec's layers with Keras: now if Keras is imported, else when it is."""
    if sys.modules.get("keras") is not None:
        _register()
    elif _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _register() -> None:
    import archspec.keras_model.layers  # noqa: PLC0415
    import archspec.keras_model.schedules  # noqa: F401, PLC0415
    from archspec.keras_model.optimizers import stand_in_for_torch  # noqa: PLC0415

    stand_in_for_torch(sys.modules["keras"])


class Finder:
    """Finds the module `name` as the other finders do, and has `run` execute it.

    `run` is given what executes the module, once.
    """

    def __init__(self, name: str, run: Callable[[Callable[[], None]], None]) -> None:
        self._name = name
        self._run = run

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._run)  # type: ignore[assignment, arg-type]
                return spec
        return None


class _Loader:
    """A loader that is `loader` in all but one thing: another has the module executed.

    It is gone before the module runs, so that nobody who looks at a module's loader meets it.
    """

    def __init__(self, loader: Loader, run: Callable[[Callable[[], None]], None]) -> None:
        self._loader = loader
        self._run = run

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._run(lambda: self._loader.exec_module(module))


def _and_register(execute: Callable[[], None]) -> None:
    execute()
    _register()


_FINDER = Finder("keras", _and_register)
