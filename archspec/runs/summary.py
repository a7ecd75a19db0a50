"""Run -> the words in which it is told: a line, and the page `summary.md`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Final

from archspec.runs.files import (
    CHECKPOINTS,
    CONFUSION_PICTURES,
    CURVES,
    DATA,
    ENVIRONMENT,
    HISTORY,
    SPEC,
    UNITS_PICTURES,
)
from archspec.text import duration

if TYPE_CHECKING:
    from archspec.runs.outcome import Run
    from archspec.training.session import Session


def verdict(run: Run) -> str:
    """One line: how the run ended, and its score."""
    done = len(run.history)
    epochs = "epoch" if done == 1 else "epochs"
    ended = {
        "finished": f"trained {done} {epochs}",
        "stopped early": f"stopped early, after {done} {epochs}",
        "interrupted": f"interrupted after {done} whole {epochs}: no test score",
        "diverged": f"the loss became infinite or not a number in epoch {done + 1}",
    }[run.outcome]
    if run.test_accuracy is None:
        return ended
    return f"test accuracy {run.test_accuracy:.2%} (epoch {run.best_epoch}); {ended}"


def time_taken(run: Run, seconds: str) -> str:
    """The time that a run took, and its images a second where a whole epoch could be measured."""
    if not run.images_per_second:
        return seconds
    compiling = ", compilation included" if len(run.history) == 1 else ""
    return f"{seconds}, {run.images_per_second:,.0f} images/s{compiling}"


def page(run: Run, session: Session) -> str:
    """`summary.md`: what was trained, what came of it, how to use it and how to go on."""
    rows = [
        ("result", verdict(run)),
        ("data", session.data.describe()),
        ("parameters", f"{run.params:,}"),
        ("time", time_taken(run, duration(run.seconds))),
    ]
    if session.transferred is not None:
        rows.insert(2, ("began with", str(session.transferred)))
    if run.best_epoch is not None:
        best = run.history[run.best_epoch - 1]
        measures = ", ".join(f"{key} {best[key]:.4f}" for key in best if key.startswith("val_"))
        rows.append(("best epoch", f"{run.best_epoch}" + (f": {measures}" if measures else "")))
    if session.least_loss is not None:
        rows.append((session.least_loss.name, session.least_loss.figure))
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    text = f"# {run.name}\n\n| | |\n|---|---|\n{table}\n"
    if run.advice:
        text += f"\n{run.advice}\n"
    if run.history:
        text += f"\n![curves]({CURVES[0]})\n"
    if session.recipe.watch_units:
        text += f"\n![gradients, dead and saturated units]({UNITS_PICTURES[0]})\n"
    if run.test_accuracy is not None:
        text += f"\n![confusion matrix]({CONFUSION_PICTURES[0]})\n"
    if run.saved is not None:
        text += _USE.format(saved=run.saved)
    again = f"`{_command('fit', run.folder / SPEC)}` repeats the run."
    if run.outcome in {"finished", "interrupted"}:
        more = ["--epochs", str(2 * len(run.history))] if run.outcome == "finished" else []
        resume = _command("fit", "--resume", run.folder, *more)
        again = f"`{resume}` goes on from `{CHECKPOINTS}`; {again}"
    return f"{text}{_FILES}{again}\n"


def _command(*words: str | os.PathLike[str]) -> str:
    """A command to paste into a shell."""
    return shlex.join(["archspec", *(os.fspath(word) for word in words)])


_USE: Final = """
`{saved}` is an ordinary Keras model:

```python
import archspec

model = archspec.load_model("{saved}")
```

After `import archspec.layers`, `keras.models.load_model` loads it as well, up to a depth of a
thousand layers or so.
"""

_FILES: Final = f"""
`{SPEC}` says what was trained and how, `{DATA}` on which images, `{ENVIRONMENT}` on what
machine, and `{HISTORY}` how each epoch went.
"""
