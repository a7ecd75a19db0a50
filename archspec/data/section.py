"""Base classes and value types of a spec's `train:` section."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from archspec.declare.metadata import Expect
from archspec.element import whole

Seed = Annotated[
    int,
    Field(ge=0, lt=2**32),
    BeforeValidator(whole),
    Expect("a whole number from 0 to 4294967295"),
]
Share = Annotated[float, Field(ge=0, le=0.5), Expect("a number from 0 to 0.5")]
ProperFraction = Annotated[float, Field(gt=0, lt=1), Expect("a number between 0 and 1")]
NotNegative = Annotated[float, Field(ge=0, lt=float("inf")), Expect("a number from 0")]
NonEmptyText = Annotated[str, Field(min_length=1), Expect("a word")]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RecipeSection(Strict):
    """A mapping in a recipe. Null values are left out when it is written."""

    hints: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Keys that people write here by mistake, with the place where they belong."""

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> Any:
        return {name: value for name, value in write(self).items() if value is not None}
