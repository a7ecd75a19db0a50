"""Named -> an object of Keras's: its class looked up, its arguments checked before Keras has them.

Keras looks at many arguments only in the middle of its first step, at some never: a rate that is
text, a share of true, a decay that is not a number. Here each is checked against the signature of
its class, and against what its name means wherever Keras has it.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from archspec.diagnostics import Problem, suggestion
from archspec.element import Expect, expectation, show, wrong_code
from archspec.ops.fields import Count, Index, Number, Positive, Rate
from archspec.spec.document import Path
from archspec.training.recipe import names
from archspec.training.recipe.mistakes import RecipeError
from archspec.training.recipe.parts import Named, NotNegative

Proportion = Annotated[float, Ge(0), Le(1), Expect("a number from 0 to 1")]
Several = Annotated[int, Ge(2), Expect("a whole number from 2")]
Whole = Annotated[int, Expect("a whole number")]
Numbers = Annotated[tuple[Number, ...], Field(min_length=1), Expect("a list of numbers")]
Indices = Annotated[tuple[Index, ...], Field(min_length=1), Expect("a list of whole numbers")]
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
    **dict.fromkeys(("boundaries", "target_class_ids"), Indices),
    **dict.fromkeys(("label_weights", "values"), Numbers),
    "average": Literal["micro", "macro", "weighted"],
    "axis": Annotated[Whole | Indices, Expect("a whole number or a list of them")],
    "class_aggregation": Literal["uniform_average", "variance_weighted_average"],
    "curve": Literal["ROC", "PR"],
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


@dataclass(frozen=True, slots=True)
class Family:
    """One of Keras's families of classes, and how a recipe spells their names."""

    known: names.Family
    module: str
    base: str
    objects: Mapping[str, Family]
    """Arguments that are themselves named, each with its family."""

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
        """As Keras itself does: optimisers in lower case, the others in snake case."""
        if self.module == "optimizers":
            return name.lower()
        word = name.replace("NaN", "Nan")
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()

    def make(self, keras: Any, named: Named, path: Path, **extra: Any) -> Any:
        """An instance with the recipe's arguments; `extra` gives way to them.

        Raises `RecipeError` for all that is wrong with the name and the arguments.
        """
        cls = self.find(keras, named, path)
        parameters = _parameters(cls)
        inside = (*path, named.name)
        arguments = {name: value for name, value in extra.items() if name in parameters}

        def read(argument: str, value: Any) -> None:
            arguments[argument] = self._read(
                keras, named.name, argument, value, parameters, (*inside, argument)
            )

        absent = [
            name
            for name, parameter in parameters.items()
            if parameter.default is inspect.Parameter.empty
            and name not in arguments
            and name not in named.arguments
        ]
        together(
            *(partial(read, argument, value) for argument, value in named.arguments.items()),
            partial(_check_all_there, named.name, absent, inside),
        )
        try:
            return cls(**arguments)
        except (TypeError, ValueError, ImportError, NotImplementedError) as error:
            refused = f"Keras refuses these arguments of `{named.name}`: {first_line(error)}"
            raise RecipeError([(inside, Problem("value", refused))]) from None

    def _read(
        self,
        keras: Any,
        owner: str,
        argument: str,
        value: Any,
        parameters: Mapping[str, inspect.Parameter],
        path: Path,
    ) -> Any:
        """The value of an argument as Keras is to get it."""
        if argument not in parameters:
            hint = suggestion(argument, parameters, what=f"arguments of `{owner}`")
            message = f"`{owner}` has no argument `{argument}`"
            raise RecipeError([(path, Problem("unknown-key", message, help=hint))])
        family = self.objects.get(argument)
        if family is not None and isinstance(value, (str, Mapping)):
            return family.make(keras, _named(value, path), path)
        default = parameters[argument].default
        if value is None and default is None:
            return None
        return _checked(owner, argument, value, MEANINGS.get(argument, _kind(default)), path)

    def find(self, keras: Any, named: Named, path: Path) -> Any:
        """The class of that name."""
        classes = self.classes(keras)
        hint = self.known.refusal(named.name)
        if hint is None and named.name not in classes:
            hint = suggestion(named.name, classes, what=self.known.plural)
        if hint is not None:
            unknown = f"Keras has no {self.known.word} `{named.name}`"
            raise RecipeError([(path, Problem("unknown-name", unknown, help=hint))])
        return classes[named.name]


SCHEDULES: Final = Family(
    names.SCHEDULES, "optimizers.schedules", "LearningRateSchedule", objects={}
)
_INNER: Final = Family(
    replace(
        names.OPTIMIZERS,
        names=tuple(name for name in names.OPTIMIZERS.names if name != "lossscaleoptimizer"),
        refused={**names.OPTIMIZERS.refused, "lossscaleoptimizer": "one is enough"},
    ),
    "optimizers",
    "Optimizer",
    objects={"learning_rate": SCHEDULES},
)
OPTIMIZERS: Final = Family(
    names.OPTIMIZERS,
    "optimizers",
    "Optimizer",
    objects={"learning_rate": SCHEDULES, "inner_optimizer": _INNER},
)
LOSSES: Final = Family(names.LOSSES, "losses", "Loss", objects={})
METRICS: Final = Family(names.METRICS, "metrics", "Metric", objects={})
CALLBACKS: Final = Family(names.CALLBACKS, "callbacks", "Callback", objects={})


def together(*checks: Callable[[], object]) -> None:
    """Do each, and raise one `RecipeError` of what all of them find."""
    problems: list[tuple[Path, Problem]] = []
    for check in checks:
        try:
            check()
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(problems)


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(cls).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind in named}


def _named(value: Any, place: Path) -> Named:
    try:
        return Named.model_validate(value)
    except ValidationError:
        message = f"`{place[-1]}`: write a name, or one name with its arguments"
        raise RecipeError([(place, Problem("value", message))]) from None


def _check_all_there(owner: str, absent: list[str], path: Path) -> None:
    if absent:
        needed = " and ".join(f"`{name}`" for name in absent)
        words = [f"`{name}` is {_words(MEANINGS[name])}" for name in absent if name in MEANINGS]
        missing = Problem("missing", f"`{owner}` needs {needed}", help="; ".join(words) or None)
        raise RecipeError([(path, missing)])


def _checked(owner: str, argument: str, value: Any, kind: Any, path: Path) -> Any:
    """The value, of which `kind` is the type; a whole number is a float where that is meant."""
    if kind is None:
        return value
    try:
        return _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        code = wrong_code([item["type"] for item in error.errors()], value)
        message = f"`{argument}` of `{owner}` must be {_words(kind)}, not {show(value)}"
        raise RecipeError([(path, Problem(code, message))]) from None


def _kind(default: Any) -> Any:
    if isinstance(default, bool):
        return bool
    if isinstance(default, (int, float)):
        return Number
    return Text if isinstance(default, str) else None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _words(kind: Any) -> str:
    return expectation(FieldInfo.from_annotation(kind))


def first_line(error: Exception) -> str:
    """What Keras says of an argument, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
