"""The base class of declarations, its fields, and the error of values that it does not take."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from archspec.declare.metadata import Factory, Key, made_by
from archspec.declare.readers import UNSURE, Reader, may_mix, reader
from archspec.errors import Portable

if TYPE_CHECKING:
    from pydantic import BaseModel

_Made = TypeVar("_Made", bound="Declaration")

REQUIRED: Final = object()
"""The default of a field that must be given."""


_PYDANTICS: Final = ("pydantic.fields", "pydantic._internal._decorators")
"""Modules of the types of what pydantic's own models read: `Field(...)`, and validators."""


class Field:
    """A field of a declaration, with attributes as pydantic's `FieldInfo` has them."""

    __slots__ = ("alias", "annotation", "default", "metadata", "type")

    def __init__(self, type: Any, default: Any) -> None:  # noqa: A002
        self.type = type
        """The type with its metadata."""
        self.default = default
        """The default, a `Factory` of it, or `REQUIRED`."""
        parts = get_args(type) if get_origin(type) is Annotated else (type,)
        self.annotation: Any = parts[0]
        self.metadata: tuple[Any, ...] = parts[1:]
        self.alias = next((part.key for part in self.metadata if isinstance(part, Key)), None)

    def is_required(self) -> bool:
        return self.default is REQUIRED

    def get_default(self, *, call_default_factory: bool = False) -> Any:
        if isinstance(self.default, Factory):
            return self.default.make() if call_default_factory else None
        return self.default

    def for_pydantic(self, name: str) -> tuple[Any, Any]:
        """Return what `pydantic.create_model` takes for the field."""
        import pydantic

        options: dict[str, Any] = {"alias": self.alias or name}
        if isinstance(self.default, Factory):
            options["default_factory"] = self.default.make
        elif not self.is_required():
            options["default"] = self.default
        return self.type, pydantic.Field(**options)


class DeclarationError(Portable, ValueError):
    """Values that a declaration does not take."""

    def __init__(self, message: str, errors: list[Any]) -> None:
        super().__init__(message, errors)
        self.errors = errors
        """Pydantic's errors: mappings with `type`, `loc`, `msg` and `input`."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Layout(NamedTuple):
    """Tables from which a class makes its instances."""

    readers: dict[str, tuple[str, Reader]]
    """Name and reader of each field, by its key."""
    defaults: dict[str, Any]
    """The default of each field by its name, in the order of the fields."""
    required: frozenset[str]
    """Keys of the fields that must be given."""
    factories: dict[str, tuple[str, Callable[[], Any]]]
    """Name and factory of the fields whose default is made anew, by their keys."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(made_by,))
class Declaration(metaclass=ABCMeta):
    """A frozen value of named and checked fields, equal to another of its class with its values.

    The methods that begin with `model_` do what those of pydantic's `BaseModel` do.
    """

    __slots__ = ("__dict__", "_hash", "_text", "model_fields_set")

    if TYPE_CHECKING:
        # Attributes of instances; as class variables, mypy does not take them for fields.
        model_fields_set: ClassVar[frozenset[str]]
        """Keys of the fields that were given, and not left to their defaults."""
        _hash: ClassVar[int]
        _text: ClassVar[str]

    model_fields: ClassVar[dict[str, Field]] = {}
    """The fields by name, those of the bases first."""

    _layout: ClassVar[_Layout]
    """Made with the first instance."""
    _mixed: ClassVar[bool]
    """Whether a field may hold values that are equal and not the same, as 1, 1.0 and True."""
    _pydantic_model: ClassVar[Any]
    """The pydantic model of the same fields, made when it is first needed."""

    def __init_subclass__(cls, **_: Any) -> None:
        annotations = cls.__annotations__
        if any(isinstance(each, str) for each in annotations.values()):
            resolved = get_type_hints(cls, include_extras=True)
            annotations = {name: resolved[name] for name in annotations}
        for name, value in vars(cls).items():
            if type(value).__module__ in _PYDANTICS:
                raise TypeError(
                    f"`{name}` of `{cls.__name__}` is pydantic's, which a declaration does not "
                    "read: write what a value must be in the annotation, as "
                    "`Annotated[int, Bounds(ge=1)]`"
                )
        class_variable: Any = ClassVar
        fields: dict[str, Field] = {}
        for base in reversed(cls.__bases__):
            fields |= getattr(base, "model_fields", {})
        for name, annotation in annotations.items():
            if class_variable not in (annotation, get_origin(annotation)):
                fields[name] = Field(annotation, vars(cls).get(name, REQUIRED))
        cls.model_fields = fields
        cls._mixed = True  # as far as is known before `_lay_out`

    def __init__(self, /, **values: Any) -> None:
        state = self._read(values)
        if state is None:
            state, values = self._checked(values)
        object.__setattr__(self, "__dict__", state)
        object.__setattr__(self, "model_fields_set", frozenset(values))

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """Return the instance that a mapping of keys to values describes.

        Raises:
            DeclarationError: It describes none.
        """
        made: Self = cls.read_mapping(data)
        return made if made is not UNSURE else _made(cls, *cls._checked(data))

    @classmethod
    def read_mapping(cls, data: Any) -> Any:
        """Return the instance that a mapping describes, or `UNSURE`."""
        state = cls._read(data) if type(data) is dict else None
        return UNSURE if state is None else _made(cls, state, data)

    @classmethod
    def is_sure_of(cls, values: Mapping[str, Any], *, later: Collection[str]) -> bool:
        """Return whether some values are certainly right, those of the keys in `later` unknown."""
        layout = vars(cls).get("_layout") or cls._lay_out()
        return layout.required.difference(values).issubset(later) and all(
            key in layout.readers and layout.readers[key][1](value) is not UNSURE
            for key, value in values.items()
        )

    def model_dump(self, *, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """Return the values by the names of their fields; in mode `json`, tuples as lists."""
        return {
            name: value if mode == "python" else _as_plain(value)
            for name, value in self._values().items()
        }

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return a copy in which some fields have other values, which are not checked."""
        update = dict(update or {})
        return _made(type(self), self._values() | update, self.model_fields_set.union(update))

    @classmethod
    def model_json_schema(cls, **options: Any) -> dict[str, Any]:
        """Return the JSON Schema; `options` are those of pydantic's method."""
        return cls.pydantic_model().model_json_schema(**options)

    @classmethod
    def pydantic_model(cls) -> type[BaseModel]:
        """Return the pydantic model of the same fields, whose `declaration` is this class.

        The names of its fields end in `_`, so that they hide none of pydantic's; their keys do not.
        """
        if "_pydantic_model" not in vars(cls):
            from pydantic import BaseModel, ConfigDict, create_model

            class Base(BaseModel):
                model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
                declaration: ClassVar[type[Declaration]] = cls

            fields: dict[str, Any] = {
                f"{name}_": field.for_pydantic(name) for name, field in cls.model_fields.items()
            }
            cls._pydantic_model = create_model(
                cls.__name__,
                __base__=Base,
                __module__=cls.__module__,
                __doc__=cls.__doc__,
                **fields,
            )
        return cast("type[BaseModel]", cls._pydantic_model)

    @classmethod
    def _checked(cls, data: Any) -> tuple[dict[str, Any], Any]:
        """Return the values of all fields and the keys of those given, as pydantic reads them."""
        from pydantic import ValidationError

        try:
            return cls._state_of(cls.pydantic_model().model_validate(data))
        except ValidationError as error:
            raise DeclarationError(
                str(error), error.errors(include_url=False, include_context=False)
            ) from None

    @classmethod
    def _state_of(cls, model: BaseModel) -> tuple[dict[str, Any], Any]:
        state = {name: getattr(model, f"{name}_") for name in cls.model_fields}
        return state, {
            field.alias or name
            for name, field in cls.model_fields.items()
            if f"{name}_" in model.model_fields_set
        }

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            lambda model: _made(cls, *cls._state_of(model)), handler(cls.pydantic_model())
        )

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the values of all fields; None where pydantic has to decide."""
        layout = vars(cls).get("_layout") or cls._lay_out()
        if not values.keys() >= layout.required:
            return None
        state = layout.defaults.copy()
        readers = layout.readers
        for key, value in values.items():
            if key not in readers:
                return None
            name, read = readers[key]
            state[name] = result = read(value)
            if result is UNSURE:
                return None
        for key, (name, make) in layout.factories.items():
            if key not in values:
                state[name] = make()
        return state

    @classmethod
    def _lay_out(cls) -> _Layout:
        keys = {name: field.alias or name for name, field in cls.model_fields.items()}
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        cls._layout = _Layout(
            {keys[name]: (name, reader(field.type)) for name, field in cls.model_fields.items()},
            defaults,
            frozenset(keys[name] for name, default in defaults.items() if default is REQUIRED),
            {
                keys[name]: (name, default.make)
                for name, default in defaults.items()
                if isinstance(default, Factory)
            },
        )
        cls._mixed = any(may_mix(field.type) for field in cls.model_fields.values())
        return cls._layout

    def _values(self) -> dict[str, Any]:
        """Return the values of the fields, without what a `cached_property` keeps beside them."""
        state, fields = vars(self), self.model_fields
        return state if len(state) == len(fields) else {name: state[name] for name in fields}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"`{type(self).__name__}` is frozen: `{name}` cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"`{type(self).__name__}` is frozen: `{name}` cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        ours, theirs = vars(self), vars(other)
        if ours != theirs:
            if len(ours) == len(theirs) == len(self.model_fields):
                return False
            if self._values() != other._values():
                return False
        return not self._mixed or self._written() == other._written()

    def _written(self) -> str:
        """Return the text of the values, in which 1, 1.0 and True differ: worked out once."""
        try:
            return self._text
        except AttributeError:
            object.__setattr__(self, "_text", repr(self))
            return self._text

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # elements are keys of caches: worked out once
            object.__setattr__(self, "_hash", hash((type(self), *self._values().values())))
            return self._hash

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), dict(self._values()), self.model_fields_set)


def _made(cls: type[_Made], state: dict[str, Any], given: Iterable[str]) -> _Made:
    """Return an instance whose values are right."""
    made = object.__new__(cls)
    object.__setattr__(made, "__dict__", state)
    object.__setattr__(made, "model_fields_set", frozenset(given))
    return made


def _as_plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples as lists, a chosen declaration under its name."""
    if isinstance(value, Declaration) and (name := getattr(value, "kind", "")):
        return {name: value.model_dump(mode="json")}
    return list(map(_as_plain, value)) if isinstance(value, tuple) else value
