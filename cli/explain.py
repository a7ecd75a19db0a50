"""`archspec explain METHOD RUN [IMAGE...]`: what a trained network sees. One command a method.

The commands are made from the methods' functions: their arguments are the options, and their
docstrings the help.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from .engine import INTERRUPTED, EngineCommand, loading_line
from .options import (
    AT_LEAST_1,
    AnyNumber,
    BoundedNumber,
    Command,
    Option,
    Place,
    Whole,
    format_option,
    normalize_option,
    quiet_option,
    white_option,
)
from .output import as_json, echo
from .spelling import CURRENT, spelled

if TYPE_CHECKING:
    from archspec.explain.gallery import Gallery
    from archspec.explain.method import MethodArgument

FORMS = ("text", "json")


class _Methods(click.Group):
    """A command for each method, made when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        from archspec.explain import METHODS

        return list(METHODS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        from archspec.explain import METHODS

        return _command(cmd_name) if cmd_name in METHODS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from archspec.explain import METHODS

        name = args[0].replace("_", "-")
        if name not in METHODS and not name.startswith("-"):
            from archspec.errors import suggestion

            words = ((word, each) for each, words in SYNONYMS.items() for word in words)
            meant = dict(words).get(name.lower())
            hint = suggestion(name, METHODS, what="methods", meant=meant)
            ctx.fail(f"there is no method `{args[0]}`; {hint}")
        result = super().resolve_command(ctx, [name, *args[1:]])
        ctx.meta[CURRENT] = result[1]
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        from archspec.explain import METHODS

        with formatter.section("Methods"):
            formatter.write_dl(list(METHODS.items()))


SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "activations": ("feature-maps", "maps", "dead"),
    "deconvnet": ("deconvolution", "deconv"),
    "embed": ("tsne", "t-sne", "pca", "umap", "features", "neighbours", "neighbors"),
    "faithfulness": ("sanity", "deletion", "insertion", "pointing-game"),
    "filters": ("weights", "kernels", "gabor"),
    "fool": ("fgsm", "adversarial", "attack"),
    "grad-cam": ("gradcam", "cam"),
    "guided": ("guided-backprop",),
    "integrated-gradients": ("ig",),
    "invariance": ("robustness", "translation", "rotation", "noise"),
    "invert": ("inversion",),
    "maximize": ("dream", "deepdream", "activation-maximization", "maximise"),
    "occlusion": ("sensitivity", "occlude"),
    "overview": ("report", "summary", "all"),
    "saliency": ("gradient", "gradients", "vanilla"),
    "segment": ("grabcut", "segmentation"),
    "smoothgrad": ("smooth-grad",),
}
"""Names of methods in other tools and in papers."""


WHOLE = ("embed", "faithfulness", "invariance", "maximize")
"""Methods of a whole data set, whose usual call names no image."""


@functools.cache
def _command(word: str) -> click.Command:
    """Return the command of a method."""
    from archspec import explain
    from archspec.explain.method import arguments_of, takes_images

    function = getattr(explain, word.replace("-", "_"))
    params: list[click.Parameter] = [click.Argument(["run"], type=Place(), metavar="RUN")]
    if takes_images(function):
        params.append(click.Argument(["images"], nargs=-1, type=Place(), metavar="[IMAGE...]"))
    params += map(_option, arguments_of(function).values())
    params += _common_options(takes_images(function))
    command = EngineCommand(
        word, params=params, callback=_callback(function), short_help=explain.METHODS[word]
    )
    command.help = spelled(_help(function, word), command)
    return command


def _option(argument: MethodArgument) -> click.Option:
    from archspec.explain.method import LARGEST

    allowed, default = argument.allowed, argument.default
    kind: Any = str
    if allowed.words:
        kind = click.Choice(allowed.words)
    elif argument.kind == "whole":
        largest = None if allowed.most == LARGEST else int(allowed.most)
        kind = Whole(max(0, int(allowed.least)), largest)
    elif argument.kind == "number":
        least, most = allowed.least, allowed.most
        bounds = (None if least == -LARGEST else least, None if most == LARGEST else most)
        kind = AnyNumber() if bounds == (None, None) else BoundedNumber(*bounds)
    usual = "|".join(allowed.words) or {"whole": "N", "number": "X"}.get(argument.kind)
    is_flag = argument.kind == "flag"
    text = argument.help.removeprefix("Whether to ")
    several = " May be given several times." if argument.several else ""
    is_plain = isinstance(default, (str, int, float)) and not is_flag
    shown = f"{default:g}" if isinstance(default, float) else default
    return click.Option(
        [f"--{argument.name.replace('_', '-')}", argument.name],
        type=bool if is_flag else kind,
        is_flag=is_flag,
        multiple=argument.several,
        default=default,
        metavar=None if is_flag else allowed.metavar or usual or argument.name.upper(),
        help=f"{text[:1].upper()}{text[1:]}{several}{f'  [{shown}]' if is_plain else ''}",
    )


def _common_options(images: bool) -> list[click.Parameter]:
    """Return the options of all methods."""
    options: list[Callable[[Command], Command]] = [
        click.option(
            "-o",
            "--out",
            "folder",
            cls=Option,
            aliases={"--output": None},
            metavar="DIR",
            help="Write index.html, PNGs, raw values (.npy) and explain.json into a folder.",
        ),
        normalize_option,
        click.option("--batch", type=AT_LEAST_1, metavar="N", help="Images at a time.  [32]"),
        click.option(
            "--seed", type=Whole(0, 2**32 - 1), metavar="N", help="Seed of random numbers.  [0]"
        ),
        format_option(*FORMS),
        quiet_option,
    ]
    data = click.option("--data", metavar="SOURCE", help="Other data for images such as test:3.")
    if images:
        options[1:1] = [data, white_option]

    def decorated() -> None: ...

    for option in options:
        option(decorated)
    parameters: list[click.Parameter] = vars(decorated)["__click_params__"]
    return parameters


def _help(function: Callable[..., Any], word: str) -> str:
    """Return the function's docstring up to its arguments, and an example."""
    from archspec.explain.method import takes_images

    text = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[0].strip()
    first = text.removeprefix("Return ")
    text = first[:1].upper() + first[1:]
    about = "RUN is a run's folder, a model file, or a spec, whose weights are then random."
    images = ""
    if takes_images(function):
        about += (
            " IMAGE is a picture file, a folder of them, an array of images (.npy, .npz), or "
            "images of the run's data by part and number: test:3, train:0-9. By default, the first "
            "eight of the test part are taken, or all of it by methods of a whole data set."
        )
        images = "" if word in WHOLE else " test:0-3"
    example = f"archspec explain {word} runs/lenet5-1{images} -o {word}/"
    return f"{text}\n\n{about}\n\n\b\n{example}"


def _callback(function: Callable[..., Any]) -> Callable[..., None]:
    def callback(*, run: str, form: str, folder: str | None, quiet: bool, **options: Any) -> None:
        from archspec.render.gallery.saving import check_folder

        if folder is not None:
            check_folder(folder)
        given = {name: value for name, value in options.items() if value not in (None, ())}
        with progress_line(quiet=quiet or form == "json") as progress:
            gallery = function(run, progress=progress, **given)
        _deliver(gallery, form, folder)

    return callback


def _deliver(gallery: Gallery, form: str, folder: str | None) -> None:
    """Print and write a gallery, and report what could not be read or done."""
    for note in gallery.notes:
        echo(f"note: {spelled(note)}", err=True)
    if form == "json":
        echo(as_json(gallery.to_dict()))
    else:
        for line in gallery.lines:
            echo(spelled(line))
    if folder is not None and len(gallery):
        echo(f"wrote {gallery.save(folder)}", err=True)
    for reason in gallery.unread:
        echo(f"error: {reason}", err=True)
    if gallery.interrupted:
        kept = "what was done is above" if len(gallery) else "nothing is done yet"
        echo(f"interrupted: {kept}", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
    if gallery.unread:
        raise click.exceptions.Exit(1)


@contextmanager
def progress_line(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show the steps that are done and the time that is left, in a line that vanishes."""
    start, first = 0.0, 0
    with loading_line(quiet=quiet) as show:
        if show is None:
            yield None
            return
        from archspec.text import duration

        def progress(done: int, total: int) -> None:
            nonlocal start, first
            now = time.monotonic()
            if not start:  # the first step includes the compilation, and would mislead
                start, first = now, done
            left = (now - start) / (done - first) * (total - done) if done > first else 0.0
            rest = f", about {duration(left)} left" if left > 1 else ""
            show(f"{done:,} of {total:,}{rest}")

        yield progress


@click.group(
    "explain",
    cls=_Methods,
    invoke_without_command=False,
    subcommand_metavar="METHOD RUN [IMAGE...]",
)
def command() -> None:
    """Show what a trained network sees: maps, filters, features, and more.

    Each method is a separate command, with its options.

    \b
    archspec explain saliency runs/lenet5-1 test:0-3 -o saliency/
    archspec explain saliency --help
    """
