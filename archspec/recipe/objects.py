"""A name with its arguments -> an object of Keras's, such as an optimizer or a loss.

    python -m archspec.recipe.objects > archspec/recipe/keras.json

writes the names and arguments of the Keras that is installed.

Every function gets the `keras` module as an argument, so importing this one costs nothing.
"""

from __future__ import annotations

import inspect
import json
import re
from functools import partial
from typing import Any

from archspec.errors import KeyPath, Problem, RecipeError, suggestion
from archspec.keras_model.engine import first_line
from archspec.recipe import arguments
from archspec.recipe.families import FAMILIES, OPTIMIZERS, KerasFamily, Parameters
from archspec.recipe.sections import Named


def make_object(
    keras: Any, family: KerasFamily, named: Named, path: KeyPath, **defaults: Any
) -> Any:
    """Return an object of Keras's; `path` is its place in the recipe.

    Where `named` has none, arguments are the `defaults`, of which those that the class does not
    take are ignored. Raises `RecipeError`, with all mistakes and their places, for a wrong name or
    wrong arguments.
    """
    cls = _find(keras, family, named, path)
    parameters = parameters_of(cls)
    defaults = {name: value for name, value in defaults.items() if name in parameters}
    given = arguments.read(family, named, parameters, path, defaults, partial(make_object, keras))
    try:
        return cls(**{**defaults, **given})
    except Exception as error:  # noqa: BLE001  (Keras raises various types for wrong values)
        message = first_line(error)
        mentioned = [name for name in named.arguments if re.search(rf"\b{name}\b", message)]
        blamed = mentioned or list(named.arguments)
        what = f"`{blamed[0]}`" if len(blamed) == 1 else "these arguments"
        problem = Problem("value", f"Keras refuses {what} of `{named.name}`: {message}")
        place = (*path, named.name, *(blamed if len(blamed) == 1 else ()))
        raise RecipeError([(place, problem)]) from None


def classes_of(keras: Any, family: KerasFamily) -> dict[str, Any]:
    """Return all classes of a family, by their names in recipes."""
    module = keras
    for name in family.module.split("."):
        module = getattr(module, name)
    base = getattr(module, family.base)
    return {
        _spelling(name, family): cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
    }


def _spelling(name: str, family: KerasFamily) -> str:
    """Return a class's name in lower case for an optimizer, else in snake case, as Keras does."""
    if family.module == OPTIMIZERS.module:
        return name.lower()
    word = name.replace("NaN", "Nan")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()


def _find(keras: Any, family: KerasFamily, named: Named, path: KeyPath) -> Any:
    """Return the class that has a name; raise `RecipeError` if there is none."""
    classes = classes_of(keras, family)
    problem = family.problem(named.name)
    if problem is None and named.name not in classes:
        message = f"Keras has no {family.word} `{named.name}`"
        hint = suggestion(named.name, classes, what=family.plural)
        problem = Problem("unknown-name", message, help=hint)
    if problem is not None:
        raise RecipeError([(path, problem)])
    return classes[named.name]


def parameters_of(cls: Any) -> Parameters:
    """Return the arguments of a class."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: () if parameter.default is inspect.Parameter.empty else (parameter.default,)
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind in named
    }


def page(keras: Any) -> str:
    """Return the text of `keras.json`, a class a line, so that a new version's changes show."""
    families = (
        f"{json.dumps(family.word)}: {{\n"
        + ",\n".join(
            f"{json.dumps(name)}: {json.dumps(parameters_of(cls))}"
            for name, cls in sorted(classes_of(keras, family).items())
            if name not in family.refused
        )
        + "\n}"
        for family in FAMILIES
    )
    return "{\n" + ",\n".join(families) + "\n}\n"


if __name__ == "__main__":
    import sys

    from archspec.keras_model.engine import load_keras

    sys.stdout.write(page(load_keras()))
