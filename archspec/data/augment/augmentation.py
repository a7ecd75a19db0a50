"""The base class of augmentations: a frozen model of arguments that changes batches at random."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_serializer

from archspec.data.values import Range
from archspec.declare.metadata import Expect
from archspec.element import expectation, show
from archspec.errors import Problem, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fraction: TypeAlias = Annotated[float, Ge(0), Le(1), Expect("a number from 0 to 1")]
Alpha: TypeAlias = Annotated[
    float, Gt(0), Le(100), Expect("a number above 0 that is at most 100, as 0.2")
]
Deviation: TypeAlias = Annotated[float, Gt(0), Le(1), Expect("a number above 0 that is at most 1")]
Fill: TypeAlias = Literal["zero", "reflect", "edge"]
"""The pixels outside of an image: black, its mirror image (which does not repeat the edge), or the
nearest pixel of the edge."""


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the first number must not be the larger: [{pair[1]}, {pair[0]}]?")
    return pair


_Share = Annotated[float, Gt(0), Le(1)]
_Ratio = Annotated[float, Ge(0.01), Le(100)]

Shares: TypeAlias = Annotated[
    tuple[_Share, _Share],
    AfterValidator(_ascending),
    Expect("two numbers above 0 that are at most 1, as [0.1, 0.5]"),
]
"""The smallest and the largest share of an image's area."""
Ratios: TypeAlias = Annotated[
    tuple[_Ratio, _Ratio],
    AfterValidator(_ascending),
    Expect("two numbers from 0.01 to 100, as [0.75, 1.33]"),
]
"""The smallest and the largest ratio of width to height; its logarithm is drawn evenly."""


class Augmentation(BaseModel):
    """A random change of training images: its fields are its arguments, its docstring its help.

    It is written as `{name: arguments}`, plain data with every argument.
    """

    # Schemas are built on first use: a recipe pays only for what it names.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: ClassVar[str]
    """The name in a recipe."""

    mixes_labels: ClassVar[bool] = False
    """Whether an image can get several classes, which requires one-hot labels."""

    moves: ClassVar[bool] = False
    """Whether what is in an image changes its place."""

    uses_range: ClassVar[bool] = False
    """Whether the change depends on the values of black and white, whatever the arguments."""

    @abstractmethod
    def __call__(
        self,
        images: NDArray[Any],
        labels: NDArray[Any],
        random: np.random.Generator,
        *,
        limits: Range,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return changed images and labels; the given arrays stay as they are.

        Args:
            images: (images, height, width, channels), not normalised yet. Moving whole pixels
                keeps their dtype; computing with values makes them float32 of the same range.
            labels: (images, classes), float32, if `mixes_labels`; otherwise of any form.
            random: The only source of chance.
            limits: The values of black and white.

        """

    @property
    def needs_range(self) -> bool:
        """Whether the change depends on the values of black and white."""
        return self.uses_range or getattr(self, "fill", None) == "zero"

    def fitted(self, sample: NDArray[Any]) -> Self:  # noqa: ARG002  (most need none)
        """Return the augmentation fitted to a sample of the training images."""
        return self

    def misfit(self, shape: Shape, classes: int) -> Problem | None:  # noqa: ARG002
        """Return why it cannot augment images of `shape` for a network with `classes` classes."""
        if shape.rank == 2:
            return None
        return Problem("shape", f"`{self.name}` is for images, not for an input of {shape}")

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the augmentation with the given arguments. Raises ValueError."""
        # YAML and JSON have lists where the fields have tuples.
        plain = {name: tuple(v) if isinstance(v, list) else v for name, v in arguments.items()}
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            raise ValueError("; ".join(cls._messages(error, arguments))) from None

    @classmethod
    def _messages(cls, error: ValidationError, arguments: Mapping[str, Any]) -> list[str]:
        """Return a message in archspec's own words for each wrong argument."""
        messages: dict[str, str] = {}
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            # A check of the whole augmentation concerns no single argument.
            argument = str(item["loc"][0]) if item["loc"] else ""
            where = f"`{argument}` of `{cls.name}`" if argument else f"`{cls.name}`"
            match item["type"]:
                case "extra_forbidden" | "invalid_key":
                    hint = suggestion(argument, cls.model_fields, what="its arguments")
                    message = f"`{cls.name}` has no argument `{argument}`; {hint}"
                case "value_error":
                    message = f"{where}: {item['msg'].removeprefix('Value error, ')}"
                case _:
                    right = expectation(cls.model_fields[argument])
                    message = f"{where} must be {right}, not {show(arguments[argument])}"
            messages.setdefault(argument, message)
        return list(messages.values())

    @model_serializer
    def _write(self) -> str | dict[str, Any]:
        arguments = {name: getattr(self, name) for name in type(self).model_fields}
        return {self.name: arguments} if arguments else self.name


class ImageAugmentation(Augmentation):
    """Base of augmentations that change images, and not their labels."""

    def __call__(
        self,
        images: NDArray[Any],
        labels: NDArray[Any],
        random: np.random.Generator,
        *,
        limits: Range,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._change(images, random, limits), labels

    @abstractmethod
    def _change(
        self, images: NDArray[Any], random: np.random.Generator, limits: Range
    ) -> NDArray[Any]:
        """Return changed images."""
