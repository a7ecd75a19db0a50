"""Declarations: what their own readers take, pydantic takes alike; all else pydantic decides."""

import copy
import math
import pickle
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import pydantic
import pytest
from annotated_types import Ge, Gt
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from archspec.blocks.conv import Conv
from archspec.compile import catalog
from archspec.declare.declaration import Declaration, DeclarationError
from archspec.declare.metadata import Bounds, Converted, Expect, Key, MinLength, Rule, made_by
from archspec.declare.readers import UNSURE, reader
from archspec.element import whole
from archspec.spec.document import Argument, BlockDefinition, Document, Head, Published

NUMBERS = [-1, 0, 1, 2, 3, 16, 17, 2**31 - 1, 2**31, 2**53 + 1, 2**70]
FLOATS = [-1.0, -0.0, 0.0, 0.3, 0.5, 1.0, 3.0, 1e300, math.inf, -math.inf, math.nan]
WORDS = ["", "same", "relu", "batch", "outer", "2d", "=n", "concat", "none"]
PAIRS = [(), (1,), (1, 2), (0, 0, 0), (1.0,), (True,), ("a",), (None,), ((0, 1), (1, 0)), ((1,),)]
VALUES: list[Any] = [
    *NUMBERS, *FLOATS, *WORDS, *PAIRS, True, False, None,
    [], [1], [1, 2], ["a"], [None], {}, {"a": 1}, {"a": {}}, {"a": None}, {1: "a"}, b"a", 1j,
]  # fmt: skip
"""Values of all sorts, among them some that no type of a field takes."""

FIELDS = {
    f"{cls.__name__}.{name}": field.type
    for cls in [*catalog.kinds().values(), Argument, BlockDefinition, Document, Head, Published]
    for name, field in cls.model_fields.items()
}

EVEN = Rule(lambda number: number % 2 == 0, {"multipleOf": 2})
TYPES = [
    float | int,
    int | float,
    Annotated[float, Gt(0)] | Annotated[int | None, Ge(0)],
    Annotated[float, Bounds(le=1)] | None,
    Annotated[int, Bounds(gt=-9, lt=3), EVEN],
    Annotated[int, Converted(whole)],
    Annotated[tuple[int, ...], MinLength(1)],
    Annotated[int | None, Ge(1)],
    Annotated[int, AfterValidator(lambda number: number + 1)],
    Literal["same", 1, True],
    Literal["same"] | bool,
    tuple[int, float],
    list[str | None],
    dict[str, list[int]],
    dict[int, str],
    bytes,
]
"""Types that third parties may write."""


def same(ours: Any, theirs: Any) -> bool:
    return repr(ours) == repr(theirs)  # with the types: 1, 1.0 and True are equal


def pairs(annotation: Any) -> tuple[Any, TypeAdapter[Any]]:
    """Return our reader of a type and pydantic's."""
    return reader(annotation), TypeAdapter(annotation, config=ConfigDict(strict=True))


def test_what_a_reader_takes_pydantic_takes_alike():
    written = {f"type {number}": annotation for number, annotation in enumerate(TYPES)}
    for name, annotation in {**FIELDS, **written}.items():
        read, strict = pairs(annotation)
        for value in VALUES:
            ours = read(value)
            if ours is not UNSURE:
                assert same(ours, strict.validate_python(value)), (name, annotation, value)


def test_a_reader_knows_the_types_of_all_fields():
    """What it leaves of these values is wrong, or a float that stands for a whole number."""
    for name, annotation in FIELDS.items():
        read, strict = pairs(annotation)
        for value in VALUES:
            if read(value) is UNSURE:
                try:
                    taken = strict.validate_python(value)
                except ValidationError:
                    continue
                assert not same(taken, value), (name, annotation, value)


class Point(Declaration):
    """A place."""

    x: Annotated[int, Bounds(ge=0), Converted(whole), Expect("a number")]
    """Distance from the left."""
    y: int = 0


class Shape(Declaration):
    """Places under names."""

    points: dict[str, Point]
    source: Annotated[str | None, Key("from")] = None
    notes: dict[str, Any] = made_by(dict)
    count: ClassVar[int] = 3


def test_values_are_fields():
    point = Point(x=3)
    assert (point.x, point.y) == (3, 0)
    assert point.model_fields_set == {"x"}
    assert point.model_dump() == {"x": 3, "y": 0}
    assert repr(point) == "Point(x=3, y=0)"


@pytest.mark.parametrize("x", [3, 3.0])
def test_a_value_is_the_same_by_reader_and_by_pydantic(x):
    point = Point(x=x)
    assert same(point, Point(x=3))
    assert point == Point(x=3, y=0)
    assert hash(point) == hash(Point(x=3))
    assert point.model_fields_set == {"x"}


def test_values_of_other_classes_are_others():
    class Other(Declaration):
        x: int
        y: int = 0

    assert Point(x=1) != Other(x=1)
    assert Point(x=1) != Point(x=2)


@pytest.mark.parametrize(
    ("values", "place", "kind"),
    [
        ({}, ("x",), "missing"),
        ({"x": -1}, ("x",), "greater_than_equal"),
        ({"x": "a"}, ("x",), "int_type"),
        ({"x": 1, "z": 1}, ("z",), "extra_forbidden"),
    ],
)
def test_what_is_wrong_is_said_by_pydantic(values, place, kind):
    with pytest.raises(DeclarationError) as caught:
        Point(**values)
    assert [(error["loc"], error["type"]) for error in caught.value.errors] == [(place, kind)]


def test_a_declaration_holds_others_and_names_their_mistakes():
    shape = Shape.model_validate({"points": {"a": {"x": 1}}, "from": "b"})
    assert shape == Shape.model_validate({"points": {"a": {"x": 1.0}}, "from": "b"})
    assert (shape.points["a"], shape.source, shape.notes) == (Point(x=1), "b", {})
    with pytest.raises(DeclarationError) as caught:
        Shape.model_validate({"points": {"a": {"x": -1}}, "source": "b"})
    assert [error["loc"] for error in caught.value.errors] == [("points", "a", "x"), ("source",)]


def test_a_default_that_is_made_is_not_shared():
    first, second = Shape(points={}), Shape(points={})
    assert first.notes is not second.notes


def test_it_is_frozen():
    point = Point(x=1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    assert point.model_copy(update={"y": 5}) == Point(x=1, y=5)
    assert point.y == 0


def test_copies_are_equal():
    conv = Conv(filters=3, padding="same")
    for again in (copy.copy(conv), copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):  # noqa: S301
        assert again == conv
        assert again.model_fields_set == {"filters", "padding"}


def test_equal_numbers_of_unlike_types_are_others_where_a_field_takes_both():
    class Loose(Declaration):
        x: bool | int = 1
        y: Any = None

    assert Loose(x=True) != Loose(x=1)
    assert Loose(y=(1,)) != Loose(y=(1.0,))
    assert Loose(x=2, y=(1,)) == Loose(x=2, y=(1,))


def test_what_a_property_keeps_is_no_value():
    class Cached(Declaration):
        x: int

        @cached_property
        def twice(self) -> int:
            return self.x * 2

    one, other = Cached(x=1), Cached(x=1)
    assert one.twice == 2
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == "Cached(x=1)"
    assert one.model_dump() == {"x": 1}
    assert one.model_copy(update={"x": 2}).twice == 4
    assert copy.copy(one) == one == one.model_copy()


def test_what_only_pydantics_own_models_read_is_refused():
    """Its constraints would be ignored otherwise."""
    with pytest.raises(TypeError, match=r"`x` of `Field` is pydantic's"):

        class Field(Declaration):
            x: int = pydantic.Field(default=3, gt=0)

    with pytest.raises(TypeError, match=r"`check` of `Validator` is pydantic's"):

        class Validator(Declaration):
            x: int = 3

            @pydantic.model_validator(mode="after")
            def check(self) -> Any:
                return self


def test_json_schema_is_pydantics():
    described = Shape.model_json_schema()
    assert described["required"] == ["points"]
    assert set(described["properties"]) == {"points", "from", "notes"}
    assert described["$defs"]["Point"]["properties"]["x"]["minimum"] == 0


def test_annotations_may_be_strings():
    class Named(Declaration):
        word: "Annotated[str, Expect('a word')]" = "a"
        count: "ClassVar[int]" = 3

    assert set(Named.model_fields) == {"word"}
    assert Named(word="b").word == "b"


def test_sure_of_some_values():
    assert Point.is_sure_of({"x": 1}, later=())
    assert Point.is_sure_of({"y": 1}, later={"x"})
    assert not Point.is_sure_of({"y": 1}, later=())
    assert not Point.is_sure_of({"y": "1"}, later={"x"})
    assert not Point.is_sure_of({"z": 1}, later={"x"})
