"""`archspec fit`: train a network into a run's folder."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import (
    Assignment,
    BoundedNumber,
    NetworkName,
    Whole,
    collect,
    format_option,
    load_spec,
    quiet_option,
    set_option,
    variant_option,
)
from .output import as_json, echo
from .spelling import spelled

if TYPE_CHECKING:
    from archspec.runs.outcome import Run
    from archspec.serve.run_server import RunServer
    from archspec.spec.document import Spec
    from archspec.training.callbacks import Watcher
    from archspec.training.hosts import Hosts


class _Thaw(click.ParamType):  # type: ignore[type-arg]
    """A stage of fine-tuning, given as `epoch:step` or `epoch:step:rate`."""

    name = "epoch:step[:rate]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        epoch, *rest = str(value).split(":")
        if not epoch.isdecimal() or len(rest) not in {1, 2} or not rest[0]:
            self.fail(f"{value!r} is not EPOCH:STEP or EPOCH:STEP:RATE, such as 5:stage3:1e-4")
        thaw: dict[str, Any] = {"epoch": int(epoch), "freeze": rest[0]}
        if rest[1:]:
            try:
                thaw["learning_rate"] = float(rest[1])
            except ValueError:
                self.fail(f"{rest[1]!r} is not a learning rate", param, ctx)
        return thaw


@click.command("fit", cls=EngineCommand)
@click.argument("spec", required=False, type=NetworkName())
@variant_option
@set_option
@click.option(
    "--data",
    metavar="SOURCE",
    help="The training data: digits, mnist, fashion_mnist, cifar10, cifar100, tfds; or a path: a "
    "folder of images, a table (.csv, .tsv, .parquet), arrays (an .npz file, or a folder of .npy "
    "files), a webdataset (tar archives), idx files.",
)
@click.option("--epochs", type=Whole(min=1), metavar="N", help="Passes over the training images.")
@click.option("--batch", type=Whole(min=1), metavar="N", help="Images per step.")
@click.option("--optimizer", metavar="NAME", help="Keras's optimizer: adam, sgd, rmsprop, ...")
@click.option(
    "--learning-rate",
    type=BoundedNumber(min=0, min_open=True),
    metavar="X",
    help="The optimizer's highest learning rate.",
)
@click.option(
    "--seed", type=Whole(0, 2**32 - 1), metavar="N", help="Seed of weights, order, augmentation."
)
@click.option(
    "--train",
    type=Assignment("schedule=cosine or data.resize=crop", mappings=True),
    metavar="KEY=VALUE",
    multiple=True,
    callback=collect,
    help="Set any other value of the recipe: schedule=cosine, data.resize=crop, "
    "optimizer.sgd.momentum=0.9, augment=[horizontal_flip].",
)
@click.option("--devices", metavar="N", help="Number of devices that share a batch, or `all`.")
@click.option(
    "--hosts",
    "hosts_count",
    type=Whole(min=1),
    metavar="N",
    envvar="KERAS_DISTRIBUTION_NUM_PROCESSES",
    help="Number of hosts that share a batch, each running this command (with JAX).",
)
@click.option(
    "--host",
    "hosts_index",
    type=Whole(min=0),
    metavar="I",
    envvar="KERAS_DISTRIBUTION_PROCESS_ID",
    help="Number of this host, from 0; host 0 keeps the run.",
)
@click.option(
    "--coordinator",
    "hosts_coordinator",
    metavar="ADDRESS:PORT",
    envvar="KERAS_DISTRIBUTION_JOB_ADDRESSES",
    help="Address of host 0 and a free port there, at which the --hosts meet.",
)
@click.option(
    "--from",
    "transfer_from",
    metavar="RUN",
    help="Start from the weights of a run, a .keras file, or imagenet.",
)
@click.option(
    "--freeze",
    "transfer_freeze",
    metavar="STEP",
    help="With --from: freeze all up to STEP, or `all` but the head.",
)
@click.option(
    "--unfreeze",
    "transfer_unfreeze",
    type=_Thaw(),
    metavar="EPOCH:STEP[:RATE]",
    multiple=True,
    help="With --from: from EPOCH on, freeze only up to STEP (or `none`), at learning rate RATE.",
)
@click.option("-o", "--out", metavar="DIR", help="The run's new folder.  [default: runs/NAME-N]")
@click.option("--resume", metavar="RUN", help="Resume a run that was stopped; without SPEC.")
@click.option("--find-lr", is_flag=True, help="Do not train, but find a good learning rate.")
@click.option(
    "--serve",
    is_flag=True,
    help="Show the run's page while it trains, at an address of this machine.",
)
@quiet_option
@format_option("text", "json")
def command(
    spec: str | None,
    variant: str | None,
    settings: Mapping[str, Any],
    resume: str | None,
    find_lr: bool,
    serve: bool,
    quiet: bool,
    form: str,
    out: str | None,
    hosts_count: int | None,
    hosts_index: int | None,
    hosts_coordinator: str | None,
    **options: Any,
) -> None:
    """Train a network, and keep all of the run in a folder.

    The spec's `train:` section is the recipe; options override it. Ctrl-C stops and saves, and
    `--resume RUN` goes on from there; so it does after a crash, from the last whole epoch. With
    `--json` the progress is JSON, one event per line.

    \b
    archspec fit lenet5
    archspec fit resnet18 --data photos/ --set classes=5 --epochs 30
    archspec fit lenet5 --from runs/lenet5-1 --freeze s4 --unfreeze 5:none:1e-4
    archspec fit --resume runs/lenet5-2
    """
    import archspec

    recipe = _recipe(**options)
    hosts = _hosts(hosts_count, hosts_index, hosts_coordinator)
    if hosts.count > 1:
        _join(hosts, quiet)
    if resume is not None:
        _check_alone(spec, variant, settings, out, find_lr)
        train = partial(archspec.resume, resume, hosts=hosts, **recipe)
    else:
        if spec is None:
            raise click.UsageError(
                "Missing argument 'SPEC': a file, a network's name, or --resume RUN."
            )
        with hosts.all_succeed():
            network = load_spec(spec, variant, settings)
        if find_lr:
            if serve:
                raise click.UsageError("--serve does not go with --find-lr, which trains no run.")
            if hosts.count > 1:
                raise click.UsageError("--find-lr works on one host only.")
            _find_lr(network, recipe, out, form, quiet)
            return
        train = partial(archspec.fit, network, out=out, hosts=hosts, **recipe)
    with watching(quiet, form == "json", serve=serve) as watchers:
        run = _outcome(lambda: train(watchers=watchers))
    if hosts.leads and form == "text":
        echo(spelled(str(run)))
    if run.outcome == "interrupted":
        raise click.exceptions.Exit(130)
    if run.outcome == "diverged":
        raise click.exceptions.Exit(1)


def _outcome(train: Callable[[], Run]) -> Run:
    """Return the run even if it diverged or got SIGTERM, so that the command can show it."""
    from archspec.runs.outcome import DivergedError

    previous = signal.signal(signal.SIGTERM, lambda *_: None)  # called once the run is saved
    try:
        return train()
    except DivergedError as error:
        return error.run
    finally:
        signal.signal(signal.SIGTERM, previous)


def _recipe(
    train: Mapping[str, Any],
    devices: str | None,
    transfer_from: str | None,
    transfer_freeze: str | None,
    transfer_unfreeze: tuple[dict[str, Any], ...],
    **options: Any,
) -> dict[str, Any]:
    """Return the keys of the recipe that the options set."""
    if transfer_from is None and (transfer_freeze is not None or transfer_unfreeze):
        raise click.UsageError("--freeze and --unfreeze need --from.")
    recipe = {name: value for name, value in options.items() if value is not None}
    if devices is not None:
        recipe["devices"] = int(devices) if devices.isdecimal() else devices
    if transfer_from is not None:
        recipe["transfer.from"] = transfer_from
        recipe["transfer.freeze"] = "none" if transfer_freeze is None else transfer_freeze
        recipe["transfer.unfreeze"] = list(transfer_unfreeze)
    return {**recipe, **train}


def _hosts(count: int | None, index: int | None, coordinator: str | None) -> Hosts:
    from archspec.training.hosts import ALONE, Hosts

    if count is None:
        if index is not None or coordinator is not None:
            raise click.UsageError("--host and --coordinator need --hosts.")
        return ALONE
    if index is None and count > 1:
        raise click.UsageError("--hosts needs --host: the number of this host, from 0.")
    return Hosts(count, index or 0, coordinator)


def _join(hosts: Hosts, quiet: bool) -> None:
    from archspec.keras_model.engine import load_keras

    if not quiet:
        meeting = f"host {hosts.index} of {hosts.count} meets the others at {hosts.coordinator}"
        echo(f"{meeting}, and waits up to 5 minutes for them", err=True)
    hosts.join(load_keras())


def _check_alone(
    spec: str | None,
    variant: str | None,
    settings: Mapping[str, Any],
    out: str | None,
    find_lr: bool,
) -> None:
    """Raise if options are given that a resumed run cannot have; `resume` checks the recipe."""
    if spec or variant or settings or out or find_lr:
        raise click.UsageError(
            "--resume goes on with a run's own network in its own folder: leave out SPEC, "
            "--variant, --set, --out and --find-lr."
        )


@contextmanager
def watching(quiet: bool, events: bool, *, serve: bool = False) -> Iterator[list[Watcher]]:
    """Yield the watchers of the run, and end their line before anything else is printed."""
    from archspec.training.events import Events
    from archspec.training.progress import Progress

    watchers: list[Watcher] = []
    with ExitStack() as stack:
        if serve:
            watchers.append(stack.enter_context(closing(_run_server())))
        if events:
            watchers.append(Events(sys.stdout))
        elif not quiet:
            watchers.append(stack.enter_context(closing(Progress(sys.stderr, say=spelled))))
        yield watchers


def _run_server() -> RunServer:
    from archspec.errors import extra

    with extra("serve", "--serve needs more packages"):
        from archspec.serve.run_server import RunServer

    return RunServer(lambda url: echo(f"the run's page: {url}", err=True))


def _find_lr(
    network: Spec, recipe: Mapping[str, Any], out: str | None, form: str, quiet: bool
) -> None:
    from pathlib import Path

    from archspec.render.curves import write_rates
    from archspec.runs import folder
    from archspec.runs.files import RATES, RATES_PICTURES
    from archspec.training import rates

    if out is not None:
        folder.check_free(out)
    if not quiet:
        echo(f"trying learning rates from {rates.LOWEST:g} to {rates.HIGHEST:g}", err=True)
    tried = rates.find_lr(network, **recipe)
    home = folder.create(f"{network.name}-rates", out, Path("runs"))
    shown = tried.rates, tried.losses, tried.chosen, network.name
    write_rates(*shown, *(home / name for name in RATES_PICTURES))
    folder.write_rows(home / RATES, tried.rows())
    if form == "json":
        echo(as_json({**tried.to_dict(), "folder": str(home)}))
    else:
        echo(f"{tried}\n{home}")
