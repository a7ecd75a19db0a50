"""Several hosts that train one network together: one process on each, of which the first leads.

JAX's multi-process runtime connects them. Before each step that all must take, the hosts exchange
whether they can, so that an error on one ends the others too.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archspec.arguments import wrong
from archspec.errors import ArchspecError, UsageError
from archspec.keras_model.engine import first_line
from archspec.lazy import np

PATIENCE_SECONDS: Final = 300
"""Longest time that hosts wait for each other to start."""

FOREVER_SECONDS: Final = 10**6


@contextmanager
def stdout_held_back() -> Iterator[None]:
    """Discard standard output: when devices first connect, gloo's C++ code reports it there."""
    if sys.stdout is not None:
        sys.stdout.flush()
    original = os.dup(1)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(original, 1)
        os.close(original)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that share each batch, and the place of this process among them."""

    count: int = 1
    index: int = 0
    coordinator: str | None = None
    """ADDRESS:PORT at which the first host waits for the others."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"`hosts.count={self.count}` must be 1 or more")
        if not 0 <= self.index < self.count:
            raise UsageError(
                f"`hosts.index={self.index}` must be from 0 to {self.count - 1}: "
                f"the number of hosts is {self.count}"
            )
        if self.count > 1:
            _check_address(self.coordinator)

    @property
    def leads(self) -> bool:
        """Whether this host keeps the run's folder and reports progress."""
        return self.index == 0

    def join(self, keras: Any) -> None:
        """Connect to all other hosts, before Keras computes anything.

        Raises:
            UsageError: The others do not come, or Keras's backend cannot train on several hosts.

        """
        if self.count == 1:
            return
        backend = keras.backend.backend()
        if backend != "jax":
            raise UsageError(_no_hosts(backend))
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        if jax.distributed.is_initialized():
            joined = jax.process_count(), jax.process_index()
            if joined != (self.count, self.index):
                raise UsageError(
                    f"this process is host {joined[1]} of {joined[0]} already, "
                    f"and cannot be {self.index} of {self.count}"
                )
            return
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        self._connect(jax)
        with stdout_held_back():
            self._gather(0)

    def _connect(self, jax: Any) -> None:
        """Initialize JAX in a thread: it blocks Ctrl-C, and ends a process whose wait times out."""
        address = str(self.coordinator).partition(",")[0]  # Keras's variable may name all hosts
        if self.leads:
            _check_port(address)
        failed: list[Exception] = []

        def initialize() -> None:
            try:
                jax.distributed.initialize(
                    address, self.count, self.index, initialization_timeout=FOREVER_SECONDS
                )
            except Exception as error:  # noqa: BLE001  (raised below, in the thread that waits)
                failed.append(error)

        thread = threading.Thread(target=initialize, daemon=True)
        thread.start()
        thread.join(PATIENCE_SECONDS)
        if not thread.is_alive() and not failed:
            return
        reason = (
            f"not all of them came within {PATIENCE_SECONDS / 60:g} minutes; start each one with "
            "its own `hosts.index=`, where it can reach that address"
        )
        if failed:
            reason = first_line(failed[0])
        raise UsageError(
            f"host {self.index} of {self.count} did not meet the others at {address}: {reason}"
        )

    @contextmanager
    def all_succeed(self) -> Iterator[None]:
        """Do something that must succeed on all hosts: an error on one is an error on each."""
        try:
            yield
        except (ArchspecError, OSError):
            self._gather(1)
            raise
        failed = [str(host) for host, flag in enumerate(self._gather(0)) if flag]
        if failed:
            raise UsageError(f"host {', '.join(failed)} failed; see its output")

    def any(self, flag: bool) -> bool:
        """Return whether a flag is set on any host."""
        return any(self._gather(int(flag)))

    def agree(self, what: str, value: str) -> None:
        """Raise `UsageError` unless all hosts have the same `value`; `what` names it."""
        if self.count == 1:
            return
        digests = self._gather(list(hashlib.sha256(value.encode()).digest()))
        others = [str(host) for host, each in enumerate(digests) if list(each) != list(digests[0])]
        if others:
            raise UsageError(f"host {', '.join(others)} has another {what} than host 0")

    def _gather(self, value: int | list[int]) -> Any:
        """Return the value of each host, by its index."""
        if self.count == 1:
            return [value]
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        devices = np.array(jax.devices()).reshape(self.count, -1)
        mesh = jax.sharding.Mesh(devices, ("hosts", "devices"))
        by_host, everywhere = (
            jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
            for axes in (("hosts",), ())
        )
        own = jax.make_array_from_process_local_data(by_host, np.array([value], np.int32))
        # multihost_utils.process_allgather waits for the host's first device alone; the others
        # would still connect, and gloo report it, when standard output is no longer held back.
        return np.asarray(jax.block_until_ready(jax.jit(_same, out_shardings=everywhere)(own)))


def _same(array: Any) -> Any:
    return array


def as_hosts(hosts: Any) -> Hosts:
    """Return the hosts, or raise `UsageError` for any other value."""
    if not isinstance(hosts, Hosts):
        raise wrong("hosts", hosts, "an `archspec.training.hosts.Hosts`")
    return hosts


ALONE: Final = Hosts()


def _check_address(address: str | None) -> None:
    if address is None:
        raise UsageError("`hosts.coordinator=` is missing: give the ADDRESS:PORT of the first host")
    name, colon, port = address.rpartition(":")
    if not (name and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError(
            f"`hosts.coordinator={address!r}` must be ADDRESS:PORT, such as 10.0.0.1:1234"
        )


def _check_port(address: str) -> None:
    """Raise `UsageError` if another process listens: JAX would crash, or share the port."""
    port = int(address.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"host 0 cannot wait at port {port}: {reason}; choose another port"
        ) from None


def _no_hosts(backend: str) -> str:
    reason = ""
    if backend == "tensorflow":
        reason = " (its MultiWorkerMirroredStrategy fails in fit: keras-team/keras#20585)"
    return (
        f"on {backend}, Keras cannot train on several hosts{reason}; "
        "use JAX: set KERAS_BACKEND=jax on each host"
    )
