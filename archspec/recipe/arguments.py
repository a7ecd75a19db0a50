"""The arguments of what a recipe names of Keras: checked by name and by what each of them means.

Keras looks at many arguments only in the middle of its first step, at some never: a rate that is
text, a share of true, a decay that is not a number. Here each is checked against the signature of
its class, and against what its name means wherever Keras has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from archspec.data.section import NotNegative
from archspec.declare.metadata import Expect
from archspec.element import expectation, show, whole, wrong_code
from archspec.errors import KeyPath, Problem, RecipeError
from archspec.ops.fields import Count, Index, Number, Positive, Rate
from archspec.recipe.mistakes import together
from archspec.recipe.names import Family, Parameters, is_newer
from archspec.recipe.parts import Named
from archspec.vocabulary import key_hint


def _rise(steps: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= step for step, later in pairwise(steps)):
        raise ValueError
    return steps


def _compile(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError from error
    return pattern


Proportion = Annotated[float, Ge(0), Le(1), Expect("a number from 0 to 1")]
Several = Annotated[int, Ge(2), BeforeValidator(whole), Expect("a whole number from 2")]
Whole = Annotated[int, BeforeValidator(whole), Expect("a whole number")]
Numbers = Annotated[tuple[Number, ...], Field(min_length=1), Expect("a list of numbers")]
Rates = Annotated[tuple[NotNegative, ...], Field(min_length=1), Expect("a list of numbers from 0")]
Indices = Annotated[tuple[Index, ...], Field(min_length=1), Expect("a list of whole numbers")]
Rising = Annotated[
    tuple[Index, ...],
    Field(min_length=1),
    AfterValidator(_rise),
    Expect("a list of rising steps, as [100, 200]"),
]
Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(_compile)], ...], Expect("a list of regular expressions")
]
Label = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$"), Expect("a name of letters and digits")
]
Measure = Annotated[str, Field(min_length=1), Expect("the name of a measure, as val_loss")]
Text = Annotated[str, Field(min_length=1, max_length=200), Expect("a text")]

MEANINGS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        ("adam_beta_1", "adam_beta_2", "beta_1", "beta_2", "ema_momentum", "momentum", "rho"), Rate
    ),
    **dict.fromkeys(
        ("clipnorm", "clipvalue", "global_clipnorm", "decay_rate", "learning_rate"), Positive
    ),
    **dict.fromkeys(("initial_scale", "loss_scale_factor", "warmup_target", "power"), Positive),
    **dict.fromkeys(("adam_weight_decay", "alpha", "epsilon", "weight_decay"), NotNegative),
    **dict.fromkeys(
        ("beta", "end_learning_rate", "gamma", "initial_learning_rate", "min_delta"), NotNegative
    ),
    **dict.fromkeys(
        ("label_smoothing", "precision", "recall", "sensitivity", "specificity"), Proportion
    ),
    **dict.fromkeys(("baseline", "initial_value_threshold", "threshold"), Number),
    **dict.fromkeys(("gradient_accumulation_steps", "num_classes", "num_thresholds"), Several),
    **dict.fromkeys(
        ("decay_steps", "dynamic_growth_steps", "ema_overwrite_frequency", "first_decay_steps"),
        Count,
    ),
    **dict.fromkeys(("k", "ns_steps", "num_labels", "top_k"), Count),
    **dict.fromkeys(
        ("class_id", "histogram_freq", "patience", "start_from_epoch", "verbose", "warmup_steps"),
        Index,
    ),
    "boundaries": Rising,
    "exclude_layers": Patterns,
    "label_weights": Numbers,
    "target_class_ids": Indices,
    "values": Rates,
    "average": Literal["micro", "macro", "weighted"],
    "axis": Annotated[Whole | Indices, Expect("a whole number or a list of them")],
    "class_aggregation": Literal["uniform_average", "variance_weighted_average"],
    "curve": Literal["ROC", "PR"],
    "inner_optimizer": Annotated[
        dict[str, Any] | str, Expect("a name, or one name with its arguments")
    ],
    "dtype": Literal["float16", "bfloat16", "float32", "float64"],
    "ignore_class": Whole,
    "mode": Literal["auto", "min", "max"],
    "monitor": Measure,
    "name": Label,
    "profile_batch": Annotated[Index | Indices, Expect("a step, or the first and the last")],
    "rms_rate": Annotated[Number | None, Expect("a number or null")],
    "reduction": Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"],
    "save_freq": Annotated[Literal["epoch"] | Count, Expect("epoch or a number of steps")],
    "thresholds": Annotated[Number | Numbers, Expect("a number or a list of them")],
    "update_freq": Annotated[
        Literal["batch", "epoch"] | Count, Expect("batch, epoch or a number of steps")
    ],
}
"""What an argument may be, by the name that Keras has for it wherever it takes one.

An argument that is not here is what its default is: true or false, a finite number, or text.
"""


def check(family: Family, named: Named, path: KeyPath) -> None:
    """Raise `RecipeError` for what is wrong with something of Keras's, as far as is known of it."""
    if named.name in family.classes and not is_newer():
        read(family, named, family.classes[named.name], path, family.given, check_inner)


def check_inner(family: Family, named: Named, path: KeyPath) -> None:
    """Likewise for what is an argument itself."""
    problem = family.problem(named.name)
    if problem is not None:
        raise RecipeError([(path, problem)])
    check(family, named, path)


def read(
    family: Family,
    named: Named,
    parameters: Parameters,
    path: KeyPath,
    given: Collection[str],
    inner: Callable[[Family, Named, KeyPath], Any],
) -> dict[str, Any]:
    """The arguments of `named` as Keras is to get them, but for those `given` beside it.

    `inner` makes what is an argument itself. Raises `RecipeError` for all that is wrong.
    """
    owner = named.name
    inside = (*path, owner)
    arguments: dict[str, Any] = {}

    def one(argument: str, value: Any) -> None:
        place = (*inside, argument)
        if argument not in parameters:
            hint = key_hint(argument, parameters, what=f"arguments of `{owner}`")
            message = f"`{owner}` has no argument `{argument}`"
            raise RecipeError([(place, Problem("unknown-key", message, help=hint))])
        within = family.objects.get(argument)
        if within is not None and isinstance(value, (str, Mapping)):
            arguments[argument] = inner(within, _named(value, place), place)
        elif value is None and parameters[argument] == (None,):
            arguments[argument] = None
        else:
            kind = kind_of(argument, parameters[argument])
            arguments[argument] = _checked(owner, argument, value, kind, place)

    absent = [
        argument
        for argument, default in parameters.items()
        if not default and argument not in given and argument not in named.arguments
    ]
    together(
        *(partial(one, argument, value) for argument, value in named.arguments.items()),
        partial(_check_all_there, owner, absent, inside),
    )
    return arguments


def kind_of(argument: str, default: tuple[()] | tuple[Any]) -> Any:
    """The type of an argument's values; None where nothing is known of it."""
    if argument in MEANINGS:
        return MEANINGS[argument]
    match default:
        case (bool(),):
            return bool
        case (int() | float(),):
            return Number
        case (str(),):
            return Text
    return None


def _named(value: Any, place: KeyPath) -> Named:
    try:
        return Named.model_validate(value)
    except ValidationError:
        message = f"`{place[-1]}`: write a name, or one name with its arguments"
        raise RecipeError([(place, Problem("value", message))]) from None


def _check_all_there(owner: str, absent: list[str], path: KeyPath) -> None:
    if absent:
        needed = " and ".join(f"`{name}`" for name in absent)
        words = [f"`{name}` is {_words(MEANINGS[name])}" for name in absent if name in MEANINGS]
        missing = Problem("missing", f"`{owner}` needs {needed}", help="; ".join(words) or None)
        raise RecipeError([(path, missing)])


def _checked(owner: str, argument: str, value: Any, kind: Any, path: KeyPath) -> Any:
    """The value, of which `kind` is the type; a whole number is a float where that is meant."""
    if kind is None:
        return value
    try:
        return _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        code = wrong_code([item["type"] for item in error.errors()], value)
        message = f"`{argument}` of `{owner}` must be {_words(kind)}, not {show(value)}"
        raise RecipeError([(path, Problem(code, message))]) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _words(kind: Any) -> str:
    return expectation(FieldInfo.from_annotation(kind))
