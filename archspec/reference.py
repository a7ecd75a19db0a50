"""The language's reference: the meaning of every word of a spec, read from its definition.

    python -m archspec.reference > docs/reference.md

The pages, `archspec show` and the JSON Schema say the same, because they all read it here.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from archspec.blocks.activated import OPS as ACTIVATION_OPS
from archspec.compile import catalog
from archspec.cost.checks import CLAIM_NAMES, TRAINING, TRAINING_NAMES
from archspec.data.augment import AUGMENTATIONS
from archspec.data.recipe import DataRecipe
from archspec.declare.declaration import Declaration
from archspec.element import AnyField, Element, expectation, field_docs
from archspec.errors import KeyPath
from archspec.ops.banks import BANKS
from archspec.ops.functions import FUNCTIONS as ACTIVATIONS
from archspec.ops.merge import Merge
from archspec.ops.op import Op, Weighted
from archspec.ops.padding import MODES
from archspec.recipe.families import FAMILIES, KERAS
from archspec.recipe.sections import (
    CosineSchedule,
    PlateauSchedule,
    Schedule,
    StepSchedule,
    Thaw,
    Transfer,
)
from archspec.recipe.train import Recipe
from archspec.spec.bundled import bundled
from archspec.spec.document import Argument, BlockDefinition, Document, Head, Published
from archspec.spec.expressions import INPUTS
from archspec.spec.operations import FUNCTIONS
from archspec.spec.source import read
from archspec.spec.space import SearchRange


@dataclass(frozen=True, slots=True)
class Word:
    """Explanation of a word of the language that is not a kind of step."""

    about: str
    """The meaning in one line."""
    text: str
    """Further details."""
    example: str


def _named(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each name that may have arguments."""
    for name, option in options.items():
        if isinstance(option, str):
            yield f"`{name}`: {option}"
            continue
        given = ", ".join(
            f"`{each}` ({spoken(info.get_default())})" for each, info in option.model_fields.items()
        )
        yield f"`{name}`: {inspect.getdoc(option)} Arguments: {given}."


def spoken(value: Any) -> str:
    """Return a value in the form of a spec."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(spoken, value))}]"
    if isinstance(value, (bool, type(None))):
        return str(value).lower().replace("none", "null")
    if isinstance(value, BaseModel):
        return spoken(value.model_dump(mode="json", exclude_none=True))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {spoken(item)}" for name, item in value.items()) + "}"
    return str(value) if value != "" else '""'


WORDS: Final[Mapping[str, Word]] = {
    "name": Word(
        "A step's name: for `from`, for merges, and in every table.",
        "A letter, then letters, digits and underscores. By default a step is named for its kind, "
        "with a number, as conv3. A name is known in its group and in the groups inside it; those "
        "in a group without a name are known around it, too. It may be computed: "
        '`name: ="up" + str(i)`. `{name: x, activation: linear}` gives a name to what is there: '
        "it costs nothing.",
        "- conv: 64\n  name: stem",
    ),
    "from": Word(
        "A step's input: a name or a list of names; by default the previous step.",
        "`input` is the input of the innermost group around the step, named or not, or of its "
        "block; outside of both, the image. In a loop, also in one that a block contains, it is "
        "that of the round: give the block `inputs: [x]`, and read `x`. A step inside a group or a "
        "block is named by its path, as `stage/conv1`. Names may be computed: "
        '`from: ="down" + str(i)`; a value that is a list gives all its names. In a loop, the '
        "first round starts there, and each other from the round before it; every round starts "
        "there if the name is computed from the loop's own variables. A block with `inputs` takes "
        "them in their order, as `from: [a, b]`, or by name, as `from: {skip: a}`, where one that "
        "is left out is the previous step.",
        "- conv: 64\n  from: stem",
    ),
    "repeat": Word(
        "Number of times that a step stands, one after the other; 0 leaves it out.",
        "`index` counts from 0 in the expressions of a repeated step. With `name: stem`, the steps "
        "are stem1, stem2 and so on: after `repeat: 4`, `from: stem4` reads the last.",
        "- {conv: 64, repeat: 2}",
    ),
    "when": Word(
        "Whether a step exists: true, false, or an expression.",
        "",
        "- {dropout: 0.5, when: =rate > 0}",
    ),
    "layers": Word(
        "A sequence of steps; inside `layers`, a group that is one step.",
        "A group takes the modifiers of a step: `name`, `from`, `repeat`, `when`, and `for` and "
        "`let`. With a name it is a scope: from outside, its steps are `stage/conv1`.",
        "- name: stage\n  layers:\n    - conv: 64\n    - max_pool: 2",
    ),
    "for": Word(
        "Names with their lists: a group is built once for each item of all lists together.",
        "The names are variables inside the group, and `index` counts from 0.",
        "- for: {filters: [64, 128], n: [1, 2]}\n  layers:\n    - {conv: =filters, repeat: =n}\n"
        "    - max_pool: 2",
    ),
    "let": Word(
        "Names with values, computed once where a group or a block begins.",
        "It stands beside the `layers` of a group, or in the definition of a block. A value may "
        "use those before it, the variables around, loop variables, and the group's input as "
        "`in.channels`; the names are variables inside the group, and do not change.",
        "- let: {width: =in.channels}\n  layers:\n    - conv: =width // 4\n    - conv: =width",
    ),
    "branches": Word(
        "Sequences side by side, each on the same input, joined by `merge`.",
        "A list of lists, or a mapping of names to lists. An empty list is the identity.",
        "- branches:\n    - [conv: 64, conv: 64]\n    - []\n  merge: add",
    ),
    "merge": Word(
        "The op that joins `branches`.",
        "A merge may also be a separate step that names its inputs: `- add: stem` adds the step "
        "`stem` to the previous one, `- concat: [a, b]` joins these two.",
        "- branches: [[conv: 64], [max_pool: {size: 3, stride: 1, padding: same}, conv: 32]]\n"
        "  merge: concat",
    ),
    "share": Word(
        "An earlier step once more, with the same weights: on another input, or further on.",
        "It names a step, a group or a branch, or a step inside one, as `tower/conv1`. The weights "
        "are counted once, the work each time. What the step does was decided by its own input: "
        "this one must fit the same weights. What it reads beside its input stays the same. "
        "`repeat` applies the weights several times.",
        "- {conv: 64, name: tower}\n- {share: tower, from: right}",
    ),
    "initial": Word(
        "Initial kernels of a convolution: a bank of filters that a formula gives.",
        "Each filter has mean 0, and its squares add up to 1 over all channels; in a depthwise "
        "convolution, over each channel. Kernels are at least 3x3, on two spatial axes. "
        "Training changes them, unless the step says `trainable: false`.\n\n"
        + "\n\n".join(f"`{name}`: {inspect.getdoc(bank)}" for name, bank in BANKS.items()),
        "- conv: {filters: 16, kernel: 5, initial: gabor, trainable: false}",
    ),
    "activations": Word(
        "The functions that `activation` may name, some with arguments.",
        "A name alone, or one name with its main argument or with arguments by name. `prelu` and "
        "`glu` are ops of their own, which blocks add where their `activation` says so.\n\n"
        + "\n\n".join(_named(ACTIVATIONS | ACTIVATION_OPS)),
        "- conv: {filters: 64, activation: {leaky_relu: 0.1}}",
    ),
    "padding": Word(
        "Padding of a convolution: how much, and the values that stand there.",
        "`same` gives ceil(input / stride) places and puts an odd pixel after; `valid` pads "
        "nothing; `causal` pads before a sequence alone. Amounts are a number, one for each axis, "
        "or [before, after] for each. Zeros stand there, unless a mapping says otherwise:\n\n"
        + "\n\n".join(_named(MODES)),
        "- conv: {filters: 64, padding: {reflect: 1}}",
    ),
    "expressions": Word(
        "A text that starts with `=` is computed, anywhere in a step.",
        "Numbers, words in quotes, lists, variables, loop variables, `index`; the step's input as "
        f"{', '.join(f'`in.{name}`' for name in INPUTS)}; the same of any step that `from` can "
        "name, as `stem.channels`, also by a variable that holds the name; "
        "`+ - * / // % **`, comparisons, `and or not`, `a if c else b`, `list[i]`, `list[1:]`, "
        "`list[::-1]`, `[x for x in list if c]`, and functions: "
        + " ".join(FUNCTIONS)
        + '. `+` joins lists, and texts: `"down" + str(i)`. Between braces or brackets of YAML, an '
        'expression with a comma or a bracket of its own needs quotes: `{conv: "=filters[i]"}`.',
        "- conv: =in.channels * 2",
    ),
}
"""Words of steps that are not kinds: modifiers, groups, banks of filters, expressions."""


@dataclass(frozen=True, slots=True)
class ReferenceEntry:
    """Field of a kind or a section: an argument, or a key."""

    name: str
    type: str
    default: str | None
    """Default in the form of a spec; None if the field is required."""
    about: str


def entries(model: type[BaseModel | Declaration]) -> tuple[ReferenceEntry, ...]:
    """Return the fields of a model; of a kind, the main argument and required ones first."""
    docs = field_docs(model)
    fields = [
        ReferenceEntry(info.alias or name, expectation(info), _default(info), docs.get(name, ""))
        for name, info in model.model_fields.items()
    ]
    if issubclass(model, Element):
        fields.sort(key=lambda entry: (entry.name != model.main, entry.default is not None))
        # Arguments that many kinds share come last.
        fields.sort(key=lambda entry: entry.name in Weighted.model_fields)
    return tuple(fields)


def _default(info: AnyField) -> str | None:
    return None if info.is_required() else spoken(info.get_default(call_default_factory=True))


def example(cls: type[Element]) -> tuple[str, str | None]:
    """Return a step of a kind, and the bundled family it is from: None for a made-up step."""
    word = re.compile(rf"\b{cls.kind}:")
    for family, path in bundled().items():
        if word.search(path.read_text(encoding="utf-8")):
            source = read(path)
            for place in _uses(cls.kind, source.data, ()):
                span = source.span(place)
                lines = source.lines[span.line - 1 : span.end_line]
                if lines[0][: span.column - 1].strip() == "-":  # a line of its own
                    return textwrap.dedent("\n".join(lines)), family
    return f"- {_made_up(cls)}", None


def _uses(kind: str, data: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Yield the paths of all steps of a kind."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict) and kind in value and isinstance(key, int):
            yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _uses(kind, value, (*path, key))


def _made_up(cls: type[Element]) -> str:
    """Return a step of a kind, with what it must be given."""
    if issubclass(cls, Merge):
        return f"{cls.kind}: [a, b]"
    described = cls.model_json_schema()
    required = described.get("required", ())
    values = {name: _sample(described["properties"][name]) for name in required}
    if not values:
        return cls.kind
    return f"{cls.kind}: {spoken(values[cls.main] if [*values] == [cls.main] else values)}"


def _sample(schema: Mapping[str, Any]) -> Any:
    """Return a value that a JSON Schema of a field allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _sample(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [_sample(schema["items"])]
    return {"integer": 2, "number": 0.5, "boolean": True}.get(schema.get("type", ""), "word")


def reference() -> str:
    """Return the whole reference as Markdown."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_reference())).rstrip() + "\n"


def _reference() -> Iterator[str]:
    yield from (
        "# Reference",
        "",
        "Made from the classes by `python -m archspec.reference > docs/reference.md`; "
        "`archspec show WORD` says the same in a terminal.",
        "",
    )
    kinds = {kind: cls for kind, cls in sorted(catalog.kinds().items()) if _is_own(cls)}
    parts: dict[str, list[type[Element]]] = {
        "Blocks": [cls for cls in kinds.values() if not issubclass(cls, Op)],
        "Ops": [
            cls for cls in kinds.values() if issubclass(cls, Op) and not issubclass(cls, Merge)
        ],
        "Merges": [cls for cls in kinds.values() if issubclass(cls, Merge)],
    }
    yield from ("## A spec", "", _paragraph(Document), "")
    yield from _table("key", entries(Document))
    for key, model in SECTIONS.items():
        yield from (f"### `{key}`", "", _paragraph(model), "")
        yield from _table("key", entries(model))
        if model is Recipe:
            yield from _recipe()
    yield from ("### Figures of `expect` and `budget`", "", _list(CLAIM_NAMES), "")
    yield from (
        f"A plain number after `{TRAINING}` is about `must_keep`. A mapping names the figure, "
        f"as in `{TRAINING}: {{must_keep: 6 GB}}`: {_list(TRAINING_NAMES)}",
        "",
    )
    yield from ("## Steps", "", STEP, "")
    for name, word in WORDS.items():
        yield from (f"### `{name}`" if name != "expressions" else "### Expressions", "")
        yield from (word.about, "", *([word.text, ""] if word.text else []))
        yield from ("```yaml", word.example, "```", "")
    yield from ("| function | value |", "|---|---|")
    yield from (f"| `{each.usage}` | {_cell(each.about)} |" for each in FUNCTIONS.values())
    yield from ("", OWN_BLOCKS)
    for title, classes in parts.items():
        yield from ("", f"## {title}", "", PARTS[title])
        for cls in classes:
            yield from ("", f"### `{cls.kind}`", "", _paragraph(cls), "")
            if cls.main:
                yield from (f"`{cls.kind}: x` is short for `{cls.kind}: {{{cls.main}: x}}`.", "")
            yield from _table("argument", entries(cls))


def _recipe() -> Iterator[str]:
    """Yield the sections of `train`."""
    for key, model in RECIPE.items():
        yield from (f"#### `train.{key}`", "", _paragraph(model), "")
        if model is not Schedule:  # each of its keys is a section
            yield from _table("key", entries(model))
    yield from ("#### `train.augment`", "", AUGMENT, "")
    for name, augmentation in AUGMENTATIONS.items():
        yield from (f"##### `{name}`", "", _paragraph(augmentation), "")
        yield from _table("argument", entries(augmentation))
    yield from ("#### What `train` names of Keras", "", NAMED, "")
    for family in FAMILIES:
        yield from (f"{family.plural.capitalize()}: {_list(family.names)}", "")
    yield from ("| not in a recipe | because |", "|---|---|")
    for family in FAMILIES:
        yield from (f"| `{name}` | {_cell(why)} |" for name, why in family.refused.items())
    yield ""


RECIPE: Final[Mapping[str, type[BaseModel]]] = {
    "data": DataRecipe,
    "schedule": Schedule,
    "schedule.plateau": PlateauSchedule,
    "schedule.step": StepSchedule,
    "schedule.cosine": CosineSchedule,
    "transfer": Transfer,
    "transfer.unfreeze": Thaw,
}
"""Models of the sections of `train`, or of the items where a section is a list."""

AUGMENT: Final = """\
A list: each is a name, as `horizontal_flip`, or one name with its arguments, as
`{random_crop: {padding: 4}}`."""

_VERSION: Final = ".".join(map(str, KERAS))

NAMED: Final = f"""\
An optimizer, a loss, a metric, a schedule or a callback is a name, or one name with the arguments
of Keras's class, as `{{sgd: {{learning_rate: 0.1}}}}`. These are the names of Keras {_VERSION}.
Where a newer one is installed, its own may be named too, but for callbacks."""

STEP: Final = """\
A step is `- kind: arguments`, where the arguments are a mapping, a single value for the kind's main
argument, or nothing (`- flatten`). Beside the kind may stand `name`, `from`, `repeat` and `when`,
and nothing else."""

OWN_BLOCKS: Final = """\
## Blocks of your own

A block that a spec defines under `blocks` is a kind like any other. This is squeeze-and-excitation
(Hu et al. 2017), as one would write it if `squeeze_excitation` did not exist:

```yaml
name: squeezed
input: [32, 32, 3]
blocks:
  squeeze:
    about: A factor for each channel, from the means of all channels.
    args: {ratio: 16}
    let: {hidden: "=max(1, in.channels // ratio)"}
    layers:
      - {name: means, global_avg_pool: {keep_axes: true}}
      - conv: {filters: =hidden, kernel: 1, activation: relu}
      - conv: {filters: =input.channels, kernel: 1, activation: sigmoid}
      - multiply: input
layers:
  - conv: {filters: 64, padding: same, activation: relu}
  - squeeze: 8
  - global_avg_pool
  - fc: 10
```

- **The main argument** is the first of `args`: `squeeze: 8` is short for `squeeze: {ratio: 8}`.
- **A default** may be computed from other arguments, before or after it, and from the spec's
  variables: `args: {filters: int, inner: =filters // 4}`. Its type follows from that, or is said:
  `inner: {type: int, default: =filters / 4}`.
- **A block sees** its arguments, its `let`, the spec's variables and `defaults`, and inside a step
  `in.channels` of that step's input. `input` is the input of the block: `input.channels`,
  `- multiply: input`; in a group inside the block it is the group's, so what the group needs of the
  block's is a `let`, or a name of `inputs`. It sees neither steps outside of it nor loop variables
  where it is used: give those as arguments.
- **Types of arguments** are those of their defaults, or are said: `int`, `float`, `bool`,
  `str`, `list`, or `activation`, which may have arguments of its own:
  `act: {type: activation, default: {leaky_relu: 0.1}}`.
- **From outside**, every step of a block can be read by its path: `from: squeeze1/means`.
- **Several inputs** have names. A step gives them in order, as `from: [a, b]`, or by name; one that
  is left out is the previous step. The steps of the block start from the first.

This is a U-Net, whose way up is a block of two inputs, and whose skips are read by computed names:

```yaml
name: small_unet
input: [64, 64, 3]
vars: {levels: 3}
defaults: {conv: {padding: same, activation: relu}}
blocks:
  up:
    about: Grows `below` to the size of `skip`, and combines both.
    inputs: [below, skip]
    layers:
      - transposed_conv: {filters: =skip.channels, kernel: 2, stride: 2}
      - concat: skip
      - conv: =skip.channels
layers:
  - for: {level: =range(levels)}
    layers:
      - {name: ="down" + str(level), conv: =16 * 2**level}
      - max_pool: 2
  - conv: =16 * 2**levels
  - for: {level: "=range(levels)[::-1]"}
    layers:
      - {name: ="up" + str(level), up: {}, from: {skip: ="down" + str(level)}}
  - conv: {filters: 2, kernel: 1, activation: softmax}
```

In braces, an expression with a comma, a bracket or a brace needs quotes, as above."""

SECTIONS: Final[Mapping[str, type[BaseModel | Declaration]]] = {
    "blocks": BlockDefinition,
    "args": Argument,
    "heads": Head,
    "published": Published,
    "search": SearchRange,
    "train": Recipe,
}
"""Model of the value of each key: of `train` itself, else of what the author names under it."""

PARTS: Final = {
    "Blocks": "A block is a composition: it becomes the ops below, and other blocks.",
    "Ops": "An op is a primitive: one layer of Keras.",
    "Merges": "A merge makes one of several inputs: `merge: add` beside `branches`, `- add: name`, "
    "or `- add: [a, b]`.",
}


def _is_own(cls: type[Element]) -> bool:
    """Whether a kind comes with archspec: plug-ins are not in the reference."""
    return cls.__module__.startswith("archspec.")


def _table(what: str, rows: Sequence[ReferenceEntry]) -> Iterator[str]:
    if not rows:
        return
    yield from (f"| {what} | value | default | meaning |", "|---|---|---|---|")
    for row in rows:
        default = "required" if row.default is None else f"`{row.default}`"
        yield f"| `{row.name}` | {_cell(row.type)} | {default} | {_cell(row.about)} |"
    yield ""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _list(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) + "."


_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def _paragraph(model: type[BaseModel | Declaration]) -> str:
    """Return a class's help, its papers linked."""
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", inspect.getdoc(model) or "")


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
