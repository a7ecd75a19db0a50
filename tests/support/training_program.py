"""Train runs as the argument says, in a process of its own, on several devices or hosts.

python training_program.py JOBS [HOSTS HOST PORT], where JOBS is a JSON list of
[SPEC, FOLDER, RECIPE, EPOCH]. EPOCH > 0 interrupts the run when that epoch begins, and resumes it;
-EPOCH copies it after the epoch's first step, and resumes the copy.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from support.blank import blank
from support.left_behind import Copies, Interrupts, left

from archspec.errors import UsageError
from archspec.training.fit import fit, resume
from archspec.training.hosts import ALONE, Hosts

DEVICES = 2


def make_devices() -> None:
    """Make several of the CPU; on JAX the environment has done so."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        several = [tf.config.LogicalDeviceConfiguration()] * DEVICES
        tf.config.set_logical_device_configuration(cpu, several)


def train(spec: str, home: str, recipe: dict[str, Any], epoch: int, hosts: Hosts) -> None:
    watchers = [Interrupts(epoch), Copies((-epoch, 1))]
    run = fit(spec, out=home, watchers=watchers, hosts=hosts, **recipe)
    if epoch > 0:
        assert run.outcome == "interrupted"
        resume(home, hosts=hosts)
    elif epoch:
        resume(left(Path(home), -epoch, 1), hosts=hosts)


def main(jobs: str, *hosts: str) -> None:
    make_devices()
    together = ALONE
    if hosts:
        count, index, port = map(int, hosts)
        together = Hosts(count, index, f"127.0.0.1:{port}")
    for spec, home, recipe, epoch in json.loads(jobs):
        try:
            with blank():
                train(spec, home, recipe, epoch, together)
        except UsageError as error:
            sys.stdout.write(f"{home}: {error}\n")


main(*sys.argv[1:])
