"""Several hosts that train one network together: a process on each, of which the first leads.

JAX's multi-process runtime carries what they share. Before each thing that they must do together
they tell each other whether they can, so that what is wrong on one ends the others too.
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

from archspec.errors import ArchspecError, UsageError
from archspec.keras_model.engine import first_line

PATIENCE_SECONDS: Final = 300
"""How long hosts wait for each other to start."""

FOREVER_SECONDS: Final = 10**6


@contextmanager
def hushed() -> Iterator[None]:
    """Hold standard output back: where devices meet first, gloo's C++ says there whom it met."""
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
    """The hosts that share each batch, and which of them this process is."""

    count: int = 1
    index: int = 0
    coordinator: str | None = None
    """ADDRESS:PORT of the first of them, where it waits for the others."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"`hosts.count={self.count}`: there must be 1 or more")
        if not 0 <= self.index < self.count:
            last = self.count - 1
            raise UsageError(
                f"`hosts.index={self.index}`: it must be from 0 to {last} of {self.count}"
            )
        if self.count > 1:
            _check_address(self.coordinator)

    @property
    def leads(self) -> bool:
        """Whether this one keeps the run's folder, and says how it goes."""
        return self.index == 0

    def join(self, keras: Any) -> None:
        """Wait for all the others; raise `UsageError` where they do not come, or Keras cannot.

        To be done before Keras computes anything.
        """
        if self.count == 1:
            return
        backend = keras.backend.backend()
        if backend != "jax":
            raise UsageError(_no_hosts(backend))
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        if jax.distributed.is_initialized():
            self._check_joined(jax)
            return
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        self._meet(jax)
        with hushed():
            self._told((0,))

    def _meet(self, jax: Any) -> None:
        """Have JAX wait in a thread: it hears no Ctrl-C, and ends a process that waited in vain."""
        address = str(self.coordinator).partition(",")[0]  # Keras's variable may name all hosts
        if self.leads:
            _check_port(address)
        failed: list[Exception] = []

        def meet() -> None:
            try:
                jax.distributed.initialize(
                    address, self.count, self.index, initialization_timeout=FOREVER_SECONDS
                )
            except Exception as error:  # noqa: BLE001  (told by the thread that waits)
                failed.append(error)

        meeting = threading.Thread(target=meet, daemon=True)
        meeting.start()
        meeting.join(PATIENCE_SECONDS)
        if not meeting.is_alive() and not failed:
            return
        reason = (
            f"they were not all there in {PATIENCE_SECONDS / 60:g} minutes; each is to be started, "
            "with a `hosts.index=` of its own, and must reach that address"
        )
        if failed:
            reason = first_line(failed[0])
        raise UsageError(
            f"host {self.index} of {self.count} did not meet the others at {address}: {reason}"
        )

    def _check_joined(self, jax: Any) -> None:
        if (jax.process_count(), jax.process_index()) != (self.count, self.index):
            raise UsageError(
                f"this process is host {jax.process_index()} of {jax.process_count()} already, "
                f"and cannot be {self.index} of {self.count}"
            )

    @contextmanager
    def all_succeed(self) -> Iterator[None]:
        """What is done inside was done by all of them, or is an error on each of them."""
        try:
            yield
        except (ArchspecError, OSError):
            self._told((1,))
            raise
        failed = [str(host) for host, (flag,) in enumerate(self._told((0,))) if flag]
        if failed:
            raise UsageError(f"host {', '.join(failed)} could not go on, and says why")

    def any(self, flag: bool) -> bool:
        """Whether it is so on any of them."""
        return any(flag for (flag,) in self._told((int(flag),)))

    def agree(self, what: str, value: str) -> None:
        """Raise `UsageError` where another one has another `value`."""
        digest = hashlib.sha256(value.encode()).digest()
        words = tuple(int.from_bytes(digest[at : at + 3]) for at in range(0, 24, 3))
        told = self._told(words)
        others = [str(host) for host, other in enumerate(told) if other != told[0]]
        if others:
            raise UsageError(f"host {', '.join(others)} has another {what} than host 0")

    def _told(self, words: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What each of them tells."""
        if self.count == 1:
            return [words]
        import jax  # noqa: PLC0415  (loaded already, by Keras)
        import numpy as np  # noqa: PLC0415

        devices = np.array(jax.devices()).reshape(self.count, -1)
        mesh = jax.sharding.Mesh(devices, ("hosts", "devices"))
        row, all_rows = (
            jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
            for axes in (("hosts",), ())
        )
        mine = jax.make_array_from_process_local_data(row, np.array([words], np.int32))
        # Each device meets its like on the other hosts, and all of them are waited for.
        told = jax.block_until_ready(jax.jit(_same, out_shardings=all_rows)(mine))
        return [tuple(map(int, words)) for words in np.asarray(told)]


def _same(array: Any) -> Any:
    return array


ALONE: Final = Hosts()


def _check_address(address: str | None) -> None:
    if address is None:
        raise UsageError("`hosts.coordinator=` is missing: the ADDRESS:PORT of the first host")
    name, colon, port = address.rpartition(":")
    if not (name and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError(
            f"`hosts.coordinator={address!r}` must be ADDRESS:PORT, such as 10.0.0.1:1234"
        )


def _check_port(address: str) -> None:
    """Raise `UsageError` where another process listens: JAX would crash, or share the port."""
    port = int(address.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"host 0 cannot wait at port {port}: {reason}; take another") from None


def _no_hosts(backend: str) -> str:
    reason = ""
    if backend == "tensorflow":
        reason = " (its MultiWorkerMirroredStrategy fails in fit: keras-team/keras#20585)"
    return (
        f"on {backend}, Keras cannot train on several hosts{reason}; "
        "on JAX it can: set KERAS_BACKEND=jax on each"
    )
