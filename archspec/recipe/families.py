"""Named -> an object of Keras's: its class looked up, its arguments checked before Keras has them.

    python -m archspec.recipe.families > archspec/recipe/keras.json

writes down the names and arguments of the Keras that is installed.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from archspec.errors import KeyPath, Problem, RecipeError, suggestion
from archspec.keras_model.engine import first_line
from archspec.recipe import arguments, names
from archspec.recipe.names import Parameters
from archspec.recipe.parts import Named


@dataclass(frozen=True, slots=True)
class Family:
    """One of Keras's families of classes, and how a recipe spells their names."""

    known: names.Family
    module: str
    base: str

    def classes(self, keras: Any) -> dict[str, Any]:
        module = keras
        for name in self.module.split("."):
            module = getattr(module, name)
        base = getattr(module, self.base)
        return {
            self._spell(name): cls
            for name, cls in vars(module).items()
            if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
        }

    def _spell(self, name: str) -> str:
        """As Keras itself does: optimizers in lower case, the others in snake case."""
        if self.module == "optimizers":
            return name.lower()
        word = name.replace("NaN", "Nan")
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()

    def make(self, keras: Any, named: Named, path: KeyPath, **extra: Any) -> Any:
        """An instance with the recipe's arguments; `extra` gives way to them.

        Raises `RecipeError` for all that is wrong with the name and the arguments.
        """
        return self._make(keras, self.known, named, path, **extra)

    def _make(
        self, keras: Any, known: names.Family, named: Named, path: KeyPath, **extra: Any
    ) -> Any:
        cls = self._find(keras, known, named, path)
        parameters = parameters_of(cls)
        given = {name: value for name, value in extra.items() if name in parameters}
        said = arguments.read(known, named, parameters, path, given, partial(_inner, keras))
        try:
            return cls(**{**given, **said})
        except (TypeError, ValueError, ImportError, NotImplementedError) as error:
            refused = f"Keras refuses these arguments of `{named.name}`: {first_line(error)}"
            raise RecipeError([((*path, named.name), Problem("value", refused))]) from None

    def _find(self, keras: Any, known: names.Family, named: Named, path: KeyPath) -> Any:
        """The class of that name."""
        classes = self.classes(keras)
        problem = known.problem(named.name)
        if problem is None and named.name not in classes:
            message = f"Keras has no {known.word} `{named.name}`"
            hint = suggestion(named.name, classes, what=known.plural)
            problem = Problem("unknown-name", message, help=hint)
        if problem is not None:
            raise RecipeError([(path, problem)])
        return classes[named.name]


SCHEDULES: Final = Family(names.SCHEDULES, "optimizers.schedules", "LearningRateSchedule")
OPTIMIZERS: Final = Family(names.OPTIMIZERS, "optimizers", "Optimizer")
LOSSES: Final = Family(names.LOSSES, "losses", "Loss")
METRICS: Final = Family(names.METRICS, "metrics", "Metric")
CALLBACKS: Final = Family(names.CALLBACKS, "callbacks", "Callback")

FAMILIES: Final[Mapping[str, Family]] = {
    family.known.word: family for family in (OPTIMIZERS, LOSSES, METRICS, SCHEDULES, CALLBACKS)
}


def _inner(keras: Any, known: names.Family, named: Named, path: KeyPath) -> Any:
    """What is an argument of something else."""
    return FAMILIES[known.word]._make(keras, known, named, path)


def parameters_of(cls: Any) -> Parameters:
    """The arguments of a class of Keras's."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: () if parameter.default is inspect.Parameter.empty else (parameter.default,)
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind in named
    }


def signatures(keras: Any) -> dict[str, dict[str, Parameters]]:
    """The arguments of each class that a recipe may name, by family and name."""
    return {
        word: {
            name: parameters_of(cls)
            for name, cls in sorted(family.classes(keras).items())
            if name not in family.known.refused
        }
        for word, family in FAMILIES.items()
    }


def page(keras: Any) -> str:
    """What `keras.json` is to hold, a class a line, so that a new version's changes are seen."""
    families = (
        f"{json.dumps(word)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in classes.items())
        + "\n}"
        for word, classes in signatures(keras).items()
    )
    return "{\n" + ",\n".join(families) + "\n}\n"


if __name__ == "__main__":
    import sys

    from archspec.keras_model.engine import load_keras

    sys.stdout.write(page(load_keras()))
