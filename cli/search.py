"""`archspec search`: the best network for a budget, by training candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import (
    AT_LEAST_1,
    Assignment,
    NetworkName,
    Whole,
    Words,
    collect,
    format_option,
    load_spec,
    quiet_option,
    set_option,
    variant_option,
    varied,
    vary_option,
    where_option,
)
from .output import deliver, echo
from .spelling import spelled

if TYPE_CHECKING:
    from archspec.studies.storage import Trial
    from archspec.studies.study import Study


@click.command("search", cls=EngineCommand)
@click.argument("spec", required=False, type=NetworkName())
@variant_option
@set_option
@vary_option
@click.option(
    "--objective",
    metavar="GOALS",
    help="Objective: 'max accuracy' or 'min loss' on the validation images, or a figure such as "
    "'min macs'; several, separated by commas, give a Pareto front.  [max accuracy]",
)
@where_option
@click.option("--trials", type=AT_LEAST_1, metavar="N", help="Candidates to train in all.  [20]")
@click.option("--epochs", type=AT_LEAST_1, metavar="N", help="Epochs of a trial.  [the recipe's]")
@click.option("--data", metavar="SOURCE", help="The training data, as for `fit`.")
@click.option(
    "--train",
    type=Assignment("batch=64 or schedule=cosine", mappings=True),
    metavar="KEY=VALUE",
    multiple=True,
    callback=collect,
    help="Set any other value of the recipe, as for `fit`: batch=64, deterministic=false.",
)
@click.option("--seed", type=Whole(0, 2**31 - 1), metavar="N", help="Seed of the search.  [0]")
@click.option(
    "--pruner",
    type=Words("median", "halving", "hyperband", "none"),
    metavar="NAME",
    help="Rule that ends weak trials early: median, halving, hyperband, none.  [median]",
)
@click.option(
    "--jobs", type=AT_LEAST_1, metavar="N", default=1, help="Number of processes that train.  [1]"
)
@click.option(
    "-o", "--out", metavar="DIR", help="The search's new folder.  [default: searches/NAME-N]"
)
@click.option(
    "--storage",
    metavar="URL",
    help="Store trials in a database, or in FILE.journal.  [an SQLite file in the folder]",
)
@click.option("--resume", metavar="DIR", help="Resume a search that was stopped; without SPEC.")
@click.option(
    "--join",
    "place",
    metavar="DIR|URL",
    help="Join a search of another process, by its folder or storage; without SPEC.",
)
@click.option("--study", metavar="NAME", help="With --join URL: name of the search in the storage.")
@quiet_option
@format_option("text", "json", "csv", "markdown")
def command(
    spec: str | None,
    variant: str | None,
    settings: Mapping[str, Any],
    vary: Sequence[tuple[str, str]],
    where: Sequence[str],
    train: Mapping[str, Any],
    epochs: int | None,
    data: str | None,
    resume: str | None,
    place: str | None,
    study: str | None,
    trials: int | None,
    jobs: int,
    quiet: bool,
    form: str,
    **options: Any,
) -> None:
    """Search for the best network within a budget, and train every candidate.

    The spec's `search:` section has the values of its variables that are tried, its `budget:` the
    most that a candidate may cost: one that costs more is rejected in a millisecond. Ctrl-C ends
    the search, and `--resume` continues it. The folder has a page, a table, the best network as a
    spec, and the run of each trial.

    \b
    archspec search digits_net --epochs 10
    archspec search mine.yaml --objective 'max accuracy, min macs' --trials 50 --jobs 4
    archspec search --resume searches/mine-1 --trials 100
    archspec search --join postgresql://host/studies --study mine-1
    """
    import archspec

    silent = quiet or form == "json"
    line = None if silent else _line
    given = {name: value for name, value in options.items() if value is not None}
    if resume is not None or place is not None:
        beside = {**given, "vary": vary, "set": settings, "where": where, "train": train}
        beside |= {"variant": variant, "epochs": epochs, "data": data}
        wrong = [f"--{name}" for name, value in beside.items() if value]
        if resume and place:
            raise click.UsageError("--resume and --join mean the same: give one of them")
        if spec or wrong:
            what = "SPEC" if spec else wrong[0]
            raise click.UsageError(
                f"{what} does not go with --join and --resume: a search keeps its own"
            )
        with _stopped(silent=silent):
            found = archspec.join_search(
                resume or place or "", trials=trials, jobs=jobs, study=study, progress=line
            )
    else:
        if spec is None:
            raise click.UsageError(
                "Missing argument 'SPEC': a file, a network's name, or --resume DIR."
            )
        recipe = dict(train)
        recipe |= {name: value for name, value in (("epochs", epochs), ("data", data)) if value}
        if study is not None:
            raise click.UsageError("--study goes with --join")
        with _stopped(silent=silent):
            found = archspec.search(
                load_spec(spec, variant, settings),
                vary=varied(vary),
                where=where,
                jobs=jobs,
                trials=trials or 20,
                progress=line,
                **given,
                **recipe,
            )
    deliver(found, form)


@contextmanager
def _stopped(*, silent: bool) -> Iterator[None]:
    """Print how a search goes on that Ctrl-C has ended."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if stop.args and not silent:
            echo(spelled(str(stop)), err=True)
        raise


def _line(study: Study, trial: Trial) -> None:
    """Print a line about a trial that ended."""
    from archspec.render.study import progress

    echo(spelled(progress(study, trial)), err=True)
