"""A run as text and Markdown: how it ended, how long it took, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.errors import call
from archspec.runs.summary import time_taken, verdict

if TYPE_CHECKING:
    from archspec.runs.outcome import Run


def text(run: Run) -> str:
    """Return a line for each: the result, advice, the time, how to go on, and the folder."""
    lines = [verdict(run), run.advice]
    if run.history:
        lines.append(time_taken(run, f"{run.seconds:,.1f} s"))
    if run.outcome == "interrupted":
        lines.append(f"{call('resume', run.folder)} goes on")
    return "\n".join(filter(None, [*lines, str(run.folder)]))


def markdown(run: Run) -> str:
    """Return the same lines as a list."""
    return (
        "\n".join([f"**{run.name}**", "", *(f"- {line}" for line in text(run).splitlines())]) + "\n"
    )
