"""Arguments and options of several commands: SPEC and its settings, memory, rows, images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from .output import SUFFIXES, check_outputs, suffixes

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from archspec.imports.model import Network
    from archspec.spec.document import Spec

Command: TypeAlias = Callable[..., Any]


class Whole(click.IntRange):
    """A whole number; a message calls it so."""

    name = "whole number"


class AnyNumber(click.types.FloatParamType):
    """A number without bounds."""

    name = "number"


class BoundedNumber(click.FloatRange):
    """A number; a message calls it so."""

    name = "number"


class Place(click.ParamType):  # type: ignore[type-arg]
    """A path, which a shell completes, or a word that is valid in its place."""

    name = "path"

    def names(self) -> Iterable[str]:
        """Return the words that are valid although they are not paths."""
        return ()

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        words = [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]
        return [*words, CompletionItem(incomplete, type="file")]


class NetworkName(Place):
    """A spec: a path, or the name of a network that comes with archspec."""

    name = "spec"

    def names(self) -> Iterable[str]:
        from archspec.spec.bundled import bundled

        return bundled()


class DeviceName(Place):
    """A device of the table, or a file that describes one."""

    name = "device"

    def names(self) -> Iterable[str]:
        from archspec.device.table import BY_NAME

        return BY_NAME

    def get_missing_message(
        self,
        param: click.Parameter,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        return f"One of {', '.join(self.names())}, or a .txtpb file that describes another"


class Words(click.ParamType):  # type: ignore[type-arg]
    """Words that a shell completes, one or several with commas between; the library checks them."""

    name = "name"

    def __init__(self, *words: str, several: bool = False) -> None:
        self.words = words
        self.several = several

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",") if self.several else ("", "", incomplete)
        given = before.split(",")
        return [
            CompletionItem(before + comma + word)
            for word in self.words
            if word.startswith(last) and word not in given
        ]


class Form(click.Choice[str]):
    """A format by its name, or by the suffix of its files: `md` for `markdown`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(SUFFIXES.get(f".{value}", value), param, ctx)


AT_LEAST_1 = Whole(1)

CONVENTIONS = (
    "fvcore",
    "torchinfo",
    "ptflops",
    "ptflops_aten",
    "calflops",
    "thop",
    "keras",
    "tensorflow",
)
"""Names of the rules in `archspec.cost.convention`, which the help needs not load."""

NORMALIZE = ("unit", "symmetric", "torch", "caffe", "none")
"""The values of `--normalize`."""


class Option(click.Option):
    """An option with further spellings that the help does not list.

    An alias that is given a value is a flag for it: `--json` means `--format json`.
    """

    def __init__(self, *args: Any, aliases: Mapping[str, str | None], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.aliases = aliases

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know the aliases too."""
        super().add_to_parser(parser, ctx)
        action = "append" if self.multiple else "store"
        for alias, value in self.aliases.items():
            if value is None:
                parser.add_option(self, opts=[alias], dest=self.name, action=action, nargs=1)
            else:
                parser.add_option(
                    self, opts=[alias], dest=self.name, action=f"{action}_const", const=value
                )


ESTIMATED = ("jax-gpu", "tensorflow-gpu", "torch-gpu", "jax-tpu", "cpu")
"""Engines that have an estimate in `archspec.cost.estimate`, which the help needs not load."""


def format_option(*forms: str, **hidden: str) -> Callable[[Command], Command]:
    """`--format` with `--json` for short, and hidden flags for others: parameter `form`."""
    aliases = {"--json": "json", **{f"--{name}": form for name, form in hidden.items()}}
    return click.option(
        "--format",
        "form",
        cls=Option,
        aliases=aliases,
        type=Form(forms),
        metavar="FORMAT",
        default=forms[0],
        help=f"{', '.join(forms)}; --json for short.  [{forms[0]}]",
    )


def output_options(*forms: str, **hidden: str) -> Callable[[Command], Command]:
    """`--format` and `-o` of the same formats: parameters `form` and `outputs`."""
    form, out = format_option(*forms, **hidden), out_option(*suffixes(*forms))
    return lambda command: form(out(command))


def out_option(*endings: str) -> Callable[[Command], Command]:
    """`-o`, `--out`: also write files, in the formats of their suffixes: parameter `outputs`."""

    def check(
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG001
        paths: tuple[str, ...],
    ) -> tuple[str, ...]:
        spec = ctx.params.get("spec")
        check_outputs(paths, endings, specs=ctx.params.get("specs") or ([spec] if spec else []))
        return paths

    return files_option(f"Also write {', '.join(endings)}.", callback=check)


def file_option(text: str) -> Callable[[Command], Command]:
    """`-o`, `--out` for a single file, with a help of its own: parameter `out`."""
    return click.option(
        "-o", "--out", cls=Option, aliases={"--output": None}, metavar="FILE", help=text
    )


def files_option(
    text: str, metavar: str = "FILE", **attributes: Any
) -> Callable[[Command], Command]:
    """`-o`, `--out`, once for each file, with a help of its own: parameter `outputs`."""
    return click.option(
        "-o",
        "--out",
        "outputs",
        cls=Option,
        aliases={"--output": None},
        multiple=True,
        metavar=metavar,
        help=f"{text} May be given several times.",
        **attributes,
    )


class Assignment(click.ParamType):  # type: ignore[type-arg]
    """`name=value`, with a value as in a spec; a mapping only with `mappings`."""

    name = "name=value"

    def __init__(self, examples: str, *, mappings: bool = False) -> None:
        self.examples = examples
        self.mappings = mappings

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):  # click may convert twice
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not name=value, such as {self.examples}", param, ctx)
        return name.strip(), self.parse(text, param, ctx)

    def parse(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from archspec.errors import Problem
        from archspec.spec.source import read_value

        if not text.strip():
            self.fail("a value is missing after `=`", param, ctx)
        try:
            return read_value(text, mappings=self.mappings)
        except Problem as problem:
            hint = f"; {problem.help}" if problem.help else ""
            self.fail(f"{problem.message}{hint}", param, ctx)


class NameOrMapping(click.ParamType):  # type: ignore[type-arg]
    """A name, or one name with its arguments as a spec has them: `{sgd: {momentum: 0.9}}`."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or "{" not in value:
            return value
        return Assignment("", mappings=True).parse(value, param, ctx)


def collect(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    pairs: tuple[tuple[str, Any], ...],
) -> dict[str, Any]:
    """Return a mapping of an option's names and values; of a name given twice, the last."""
    return dict(pairs)


spec_argument = click.argument("spec", type=NetworkName(), is_eager=True)
"""SPEC: a path, a bundled family, or a variant's name. It is read first: `-o` may not name it."""

specs_argument = click.argument(
    "specs", nargs=-1, required=True, type=NetworkName(), metavar="SPEC...", is_eager=True
)
"""Several of these."""

variant_option = click.option("--variant", metavar="NAME", help="The variant of the family.")

set_option = click.option(
    "--set",
    "settings",
    type=Assignment("classes=10 or depth=[1,2]", mappings=True),
    metavar="NAME=VALUE",
    multiple=True,
    callback=collect,
    help="Set a variable of the spec, or its input: classes=10, depth=[1,2], input=[32,32,3].",
)

at_option = click.option(
    "--at",
    metavar="SIZE",
    help="Size of an open input: 512x768, or 512 for all open axes.",
)

dtype_option = click.option(
    "--dtype", metavar="NAME", help="Keras dtype policy.  [the recipe's, or float32]"
)

optimizer_option = click.option(
    "--optimizer",
    type=NameOrMapping(),
    metavar="NAME",
    help="Optimizer whose state is counted: adam, or {adam: {amsgrad: true}}.  "
    "[the recipe's, or adam]",
)

inference_option = click.option(
    "--inference", is_flag=True, help="Leave out the heads, which only help to train."
)

depth_option = click.option(
    "--depth",
    type=AT_LEAST_1,
    metavar="N",
    help="Show N levels of blocks; a deeper one is a single row.",
)

normalize_option = click.option(
    "--normalize",
    type=click.Choice(NORMALIZE),
    metavar="HOW",
    help=f"How the images of a model file were prepared: {', '.join(NORMALIZE)}.",
)

white_option = click.option(
    "--white",
    type=BoundedNumber(min=0, min_open=True),
    metavar="X",
    help="Value of white in arrays.  [as in training]",
)

quiet_option = click.option("--quiet", is_flag=True, help="Show no progress, only the result.")


def spec_options(command: Command) -> Command:
    """SPEC, `--variant` and `--set`: parameters `spec`, `variant` and `settings`."""
    return spec_argument(variant_option(set_option(command)))


def memory_options(command: Command) -> Command:
    """Add the options for memory: parameters `batch`, `dtype`, `optimizer`, `at`."""
    batch = click.option(
        "--batch",
        type=AT_LEAST_1,
        metavar="N",
        help="Images in a batch.  [the recipe's for training, else 1]",
    )
    return batch(dtype_option(optimizer_option(at_option(command))))


convention_option = click.option(
    "--convention",
    type=Words(*CONVENTIONS, "all", several=True),
    metavar="A,B,..",
    callback=lambda _context, _parameter, value: tuple(value.split(",")) if value else (),
    help=f"Show the totals as other tools count them: {', '.join(CONVENTIONS)}, or all.",
)

engine_option = click.option(
    "--engine",
    type=Words(*ESTIMATED),
    metavar="NAME",
    help=f"Estimate the memory of a training step on an engine: {', '.join(ESTIMATED)}.",
)


def rows_options(command: Command) -> Command:
    """Add the options for a table's rows: parameters `depth` and `ops`."""
    ops = click.option("--ops", is_flag=True, help="Show a row for every primitive op.")
    return depth_option(ops(command))


class Values(click.ParamType):  # type: ignore[type-arg]
    """A variable and its values: `width=8..64:8`, `input=128,160`."""

    name = "name=values"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):  # click may convert twice
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip() or not text.strip():
            self.fail(f"{value!r} is not NAME=VALUES, such as width=8..64:8", param, ctx)
        return name.strip(), text


vary_option = click.option(
    "--vary",
    type=Values(),
    metavar="NAME=VALUES",
    multiple=True,
    help="Values of a variable, `input` or `variant`: width=8..64:8 (from 8 to 64 in steps of 8), "
    "depth=2,3,4, input=128,160.  [those of the spec's `search:`]",
)
where_option = click.option(
    "--where",
    metavar="CONDITION",
    multiple=True,
    help="Condition in addition to the spec's `budget:`: 'params < 20K', 'macs <= 5M'.",
)


def varied(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the values of each variable; refuse one that is given twice."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"--vary gives `{twice}` twice; write all its values in one")
    return dict(pairs)


def images_options(command: Command) -> Command:
    """Add the options for images and their preprocessing.

    Parameters `flip`, `mc_dropout`, `seed`, `batch`, `normalize`, `white` and `quiet`.
    """
    flip = click.option("--flip", is_flag=True, help="Take the mean over an image and its mirror.")
    batch = click.option("--batch", type=AT_LEAST_1, metavar="N", help="Images at a time.")
    passes = click.option(
        "--mc-dropout",
        type=AT_LEAST_1,
        metavar="N",
        help="Take the mean of N passes in which dropout drops units, as in training.",
    )
    seed = click.option(
        "--seed",
        type=Whole(0),
        metavar="N",
        help="Seed of the units that --mc-dropout drops.  [0]",
    )
    return flip(passes(seed(batch(normalize_option(white_option(quiet_option(command)))))))


threshold_option = click.option(
    "--threshold",
    type=BoundedNumber(min=0, min_open=True),
    metavar="X",
    help="Probability from which an image has a label.  [0.5]",
)


def load_spec(spec: str, variant: str | None, settings: Mapping[str, Any]) -> Spec:
    """Return the spec that the parameters of `spec_options` name."""
    from archspec.imports.loading import needs_spec
    from archspec.spec.loading import load

    needs_spec(spec, f"`archspec {click.get_current_context().info_name}`")
    return load(spec, variant, **settings)


def load_network(spec: str, variant: str | None, settings: Mapping[str, Any]) -> Network:
    """Return the spec that the parameters of `spec_options` name, or the model in a model file."""
    from archspec.imports.loading import load

    return load(spec, variant, **settings)
