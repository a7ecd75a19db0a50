"""Arguments of Keras's classes in a recipe: their names, and values that Keras would not refuse.

Keras checks a value when it makes the object, but it accepts most wrong ones without a word: of
3,600 pairs of an argument and a wrong value (text for a number, -1 for a learning rate, 7 for a
momentum), Keras 3.15 made the object for 2,279, and failed in the first step or trained nonsense.
So a value must be of its default's type; an argument whose default does not tell is in `TYPES`.
What is in neither is left to Keras.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo

from archspec.data.section import NotNegative
from archspec.declare.metadata import Expect
from archspec.element import expectation, show, wrong_code
from archspec.errors import KeyPath, Problem, RecipeError
from archspec.ops.fields import LARGEST, Count, Index, Number, Positive, Rate
from archspec.recipe.families import KerasFamily, Parameters, is_newer
from archspec.recipe.mistakes import check_all
from archspec.recipe.sections import Named
from archspec.vocabulary import key_hint


def _check_rising(steps: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= step for step, later in pairwise(steps)):
        raise ValueError
    return steps


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError from error
    return pattern


Finite = Annotated[
    Annotated[int, Ge(-LARGEST), Le(LARGEST)] | Number,  # a whole number stays one: -1 for an axis
    Expect("a finite number"),
    WithJsonSchema({"type": "number"}),
]
Proportion = Annotated[float, Ge(0), Le(1), Expect("a number from 0 to 1")]
Text = Annotated[str, Field(min_length=1, max_length=200), Expect("a text")]
Label = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$"), Expect("a name of letters and digits")
]
Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(_check_pattern)], ...],
    Expect("a list of regular expressions"),
]
Rising = Annotated[
    tuple[Index, ...],
    Field(min_length=1),
    AfterValidator(_check_rising),
    Expect("a list of rising steps, as [100, 200]"),
]
NotNegatives = Annotated[
    tuple[NotNegative, ...], Field(min_length=1), Expect("a list of numbers from 0")
]
Frequency = Annotated[
    Literal["batch", "epoch"] | Count, Expect("batch, epoch or a number of steps")
]
Plain = Annotated[
    bool | Finite | Text | tuple[bool | Finite | Text, ...],
    Expect("a number, a text, true, false, or a list of them"),
    WithJsonSchema({"type": ["number", "string", "boolean", "array"]}),
]
"""Values without a mapping in them, of which Keras would make an object of any of its classes."""

_BY_TYPE: Final[tuple[tuple[Any, str], ...]] = (
    (Rate, "adam_beta_1 adam_beta_2 beta_1 beta_2 ema_momentum momentum rho"),
    (Proportion, "label_smoothing"),
    (
        Positive,
        "clipnorm clipvalue decay_rate global_clipnorm initial_scale learning_rate "
        "loss_scale_factor power warmup_target",
    ),
    (
        NotNegative,
        "adam_weight_decay alpha beta end_learning_rate epsilon gamma initial_learning_rate "
        "min_delta weight_decay",
    ),
    (
        Count,
        "decay_steps dynamic_growth_steps ema_overwrite_frequency first_decay_steps "
        "gradient_accumulation_steps k ns_steps num_classes num_labels num_thresholds top_k",
    ),
    (Index, "class_id histogram_freq patience start_from_epoch verbose warmup_steps"),
    (Number, "baseline initial_value_threshold threshold"),
    (Finite, "ignore_class"),
    (Annotated[Number | None, Expect("a number or null")], "rms_rate"),
    (Label, "name"),
    (Patterns, "exclude_layers"),
    (Rising, "boundaries"),
    (NotNegatives, "values"),
    (Frequency, "save_freq update_freq"),
    (Literal["auto", "min", "max"], "mode"),
    (Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"], "reduction"),
)

TYPES: Final[Mapping[str, Any]] = {name: kind for kind, names in _BY_TYPE for name in names.split()}
"""Types of arguments by name, wherever Keras has the name."""


def type_of(argument: str, default: tuple[()] | tuple[Any]) -> Any:
    """Return the type of an argument's values, by its name or its default."""
    if argument in TYPES:
        return TYPES[argument]
    match default:
        case (bool(),):
            return bool
        case (int(),):
            return Finite
        case (float(),):
            return Number
        case (str(),):
            return Text
    return Plain


def check(family: KerasFamily, named: Named, path: KeyPath) -> None:
    """Raise `RecipeError` for wrong arguments, where `keras.json` describes the Keras in use."""
    if named.name in family.classes and not is_newer():
        read(family, named, family.classes[named.name], path, family.given, _check_inner)


def _check_inner(family: KerasFamily, named: Named, path: KeyPath) -> None:
    problem = family.problem(named.name)
    if problem is not None:
        raise RecipeError([(path, problem)])
    check(family, named, path)


def read(
    family: KerasFamily,
    named: Named,
    parameters: Parameters,
    path: KeyPath,
    given: Collection[str],
    inner: Callable[[KerasFamily, Named, KeyPath], Any],
) -> dict[str, Any]:
    """Return the arguments of `named` as Keras takes them; `path` is its place in the recipe.

    Required arguments that archspec has `given` may be missing; `inner` makes the value of an
    argument that is an object by name itself. Raises `RecipeError` with all mistakes and their
    places.
    """
    owner = named.name
    inside = (*path, owner)
    arguments: dict[str, Any] = {}

    def read_one(argument: str, value: Any) -> None:
        place = (*inside, argument)
        if argument not in parameters:
            hint = key_hint(argument, parameters, what=f"arguments of `{owner}`")
            message = f"`{owner}` has no argument `{argument}`"
            raise RecipeError([(place, Problem("unknown-key", message, help=hint))])
        objects = family.objects.get(argument)
        if objects and (isinstance(value, (str, Mapping)) or argument not in TYPES):
            arguments[argument] = inner(objects, _named(value, place), place)
        elif value is None and parameters[argument] == (None,):
            arguments[argument] = None
        else:
            kind = type_of(argument, parameters[argument])
            arguments[argument] = _checked(owner, argument, value, kind, place)

    def check_none_missing() -> None:
        absent = [
            argument
            for argument, default in parameters.items()
            if not default and argument not in given and argument not in named.arguments
        ]
        if absent:
            needed = " and ".join(f"`{name}`" for name in absent)
            words = [f"`{name}` is {_words(TYPES[name])}" for name in absent if name in TYPES]
            missing = Problem("missing", f"`{owner}` needs {needed}", help="; ".join(words) or None)
            raise RecipeError([(inside, missing)])

    check_all(
        *(partial(read_one, argument, value) for argument, value in named.arguments.items()),
        check_none_missing,
    )
    return arguments


def _named(value: Any, place: KeyPath) -> Named:
    try:
        return Named.model_validate(value)
    except ValidationError:
        message = f"`{place[-1]}`: write a name, or one name with its arguments"
        raise RecipeError([(place, Problem("value", message))]) from None


def _checked(owner: str, argument: str, value: Any, kind: Any, path: KeyPath) -> Any:
    """Return the value as Keras takes it: 3 for 3.0 where it must be whole, and lists as lists."""
    try:
        checked = _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        code = wrong_code([item["type"] for item in error.errors()], value)
        message = f"`{argument}` of `{owner}` must be {_words(kind)}, not {show(value)}"
        raise RecipeError([(path, Problem(code, message))]) from None
    return list(checked) if isinstance(checked, tuple) else checked


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _words(kind: Any) -> str:
    return expectation(FieldInfo.from_annotation(kind))
