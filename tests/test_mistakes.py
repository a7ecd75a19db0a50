"""Mistakes in bulk: every kind and argument misspelt, every argument given every wrong value."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.specs import spec_of

from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.errors import CODES, Diagnostic, SpecError
from archspec.reference import example

KINDS = catalog.kinds()
HEADER = "name: net\ninput: [32, 32, 4]\nlayers:\n"


def problems(layers: str) -> tuple[Diagnostic, ...]:
    try:
        expand(spec_of(HEADER + layers))
    except SpecError as error:
        return error.diagnostics
    return ()


def misspelt(word: str) -> Iterator[str]:
    """`word` with one letter missing, wrong, too many, or in the wrong order."""
    for i in range(len(word)):
        yield word[:i] + word[i + 1 :]
        yield word[:i] + "q" + word[i + 1 :]
        yield word[:i] + "q" + word[i:]
        if i:
            yield word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_kind_is_answered_with_the_kind(kind):
    words = sorted({word for word in misspelt(kind) if word and word not in KINDS})
    found = problems("\n".join(f"- {word}" for word in words))
    assert [d.message for d in found] == [
        f"there is no kind of step called `{word}`" for word in words
    ]
    answers = {d.help for d in found}
    if len(kind) > 3:  # with one letter wrong, a short word may be another as well
        assert answers <= {f"did you mean `{kind}`?", f"archspec says `{kind}`"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_argument_is_answered_with_the_argument(kind):
    for field in KINDS[kind].model_fields:
        words = sorted(set(misspelt(field)) - {"", *KINDS[kind].model_fields})
        found = problems(f"- {kind}: {{{', '.join(f'{word}: 1' for word in words)}}}")
        assert [(d.code, d.message) for d in found] == [
            ("unknown-key", f"`{kind}` has no argument `{word}`") for word in words
        ]
        if len(field) > 2:
            assert {d.help for d in found} == {f"did you mean `{field}`?"}


VALUES = [
    "many", '""', "true", "null", "[]", "[many]", "[true]", "[[]]", "[1, 2, 3, 4, 5, 6, 7]",
    "[[1, 2], [3]]", "{}", "{a: 1}", "0", "-1", "1", "1.5", "-0.5", "2147483647", "2147483648",
    "1000000000000000000000000000000", "1.0e+300", "1.0e-300", "[0, 0]", "[-1, 3]", "[1.5, 3]",
    "[2147483647, 2147483647]", "[[2147483647, 2147483647], [0, 0]]", "'=in.channels'", "'=0.5'",
    "'=[3, 3]'", "'=-1'", "'=2 ** 62'", "'=index'", "'=in.depth'",
]  # fmt: skip


def arguments(kind: str) -> dict[str, Any]:
    """Right arguments, from the example in the reference."""
    (step,) = yaml.safe_load(example(KINDS[kind])[0])
    written = step.get(kind) if isinstance(step, dict) else None
    if isinstance(written, dict):
        return {name: value for name, value in written.items() if not str(value).startswith("=")}
    main = KINDS[kind].main
    simple = isinstance(written, (int, float, list)) or str(written).isalpha()
    return {main: written} if main and written is not None and simple else {}


# What Python calls things has no place in a message.
PYTHON = re.compile(r"\b(None|True|False|tuple|dict|Traceback|<class)\b|\(\d+,|\{'")


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, cls in KINDS.items() for field in cls.model_fields]
)
def test_a_wrong_value_is_said_in_its_place(kind, field):
    start = f"- {{from: input, {kind}: {{"
    others = {name: value for name, value in arguments(kind).items() if name != field}
    rest = "".join(f", {name}: {json.dumps(value)}" for name, value in others.items())
    lines = [f"{start}{field}: {value}{rest}}}}}" for value in VALUES]
    for found in problems("\n".join(lines)):
        assert found.code in CODES
        assert not PYTHON.search(found.message)
        assert found.span is not None
        value = VALUES[found.span.line - 4]
        begin = len(start) + 1
        end = begin + len(f"{field}: {value}")
        of_the_step = found.span.column == begin - len(kind) - 3
        assert (begin <= found.span.column and found.span.end_column <= end) or of_the_step
        if of_the_step:
            assert found.code in ("missing", "shape", "limit", "value")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_takes_no_argument_that_is_a_mapping(kind):
    for field in KINDS[kind].model_fields:
        found = problems(f"- {kind}: {{{field}: {{a: 1}}}}")
        assert "a mapping is not allowed here" in [diagnostic.message for diagnostic in found]


def test_enough_mistakes_are_enough():
    """Nobody reads more, and each takes its time."""
    found = problems("\n".join(f"- kind{number}" for number in range(5_000)))
    assert [d.message.split("`")[1] for d in found] == [f"kind{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("key", "help_"),
    [
        ("epochs", "it belongs to the recipe: `train: {epochs: ...}`"),
        ("batch_size", "it belongs to the recipe: `train: {batch: ...}`"),
        ("learning_rate", "`train: {optimizer: {adam: {learning_rate: ...}}}`"),
    ],
)
def test_a_key_of_the_recipe_beside_it_is_sent_there(key, help_):
    with pytest.raises(SpecError) as caught:
        expand(spec_of(f"{HEADER}  - flatten\n{key}: 3\n"))
    (problem,) = caught.value.diagnostics
    assert help_ in str(problem.help)
