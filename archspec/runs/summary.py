"""A run's result in words: one line, and the page `summary.md`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from archspec.data.task import TaskKind
from archspec.runs import folder
from archspec.runs.files import (
    CHECKPOINTS,
    CONFUSION_PICTURES,
    CURVES,
    DATA,
    ENVIRONMENT,
    HISTORY,
    MISTAKES_PICTURES,
    SPEC,
    SUMMARY,
    UNITS_PICTURES,
)
from archspec.text import duration

if TYPE_CHECKING:
    from archspec.recipe.least_loss import LeastLoss
    from archspec.runs.outcome import Run
    from archspec.runs.records import TransferRecord


TOLD: Final[Mapping[TaskKind, tuple[tuple[str, str], ...]]] = {
    "classification": (),
    "multi_label": (
        ("mean_average_precision", "mean average precision {:.2%}"),
        ("exact_match", "exact match {:.2%}"),
    ),
    "regression": (("mae", "mae {:.4g}"), ("rmse", "rmse {:.4g}"), ("r2", "r2 {:.3f}")),
}
"""Measures of the test images that a verdict tells, each with its words, by the kind of task."""


def verdict(run: Run) -> str:
    """Return one line: how the run ended, and its score."""
    done = len(run.history)
    epochs = "epoch" if done == 1 else "epochs"
    ended = {
        "finished": f"trained {done} {epochs}",
        "stopped early": f"stopped early, after {done} {epochs}",
        "interrupted": f"interrupted after {done} whole {epochs}: no test score",
        "diverged": f"the loss became infinite or not a number in epoch {done + 1}",
    }[run.outcome]
    if run.test_accuracy is not None:
        return f"test accuracy {run.test_accuracy:.2%} (epoch {run.best_epoch}); {ended}"
    told = [text.format(run.test[name]) for name, text in TOLD[run.task] if name in run.test]
    return f"test {', '.join(told)} (epoch {run.best_epoch}); {ended}" if told else ended


def time_taken(run: Run, seconds: str) -> str:
    """Return a run's time, with its images per second if an epoch was long enough to time."""
    if not run.images_per_second:
        return seconds
    compiling = ", compilation included" if len(run.history) == 1 else ""
    return f"{seconds}, {run.images_per_second:,.0f} images/s{compiling}"


def write(
    run: Run,
    *,
    data: str,
    transferred: TransferRecord | None,
    least_loss: LeastLoss | None,
    has_units: bool,
) -> None:
    """Write `summary.md`: the result, how to use the model, and how to resume or repeat the run.

    `transferred` is None if the initial weights were random, `least_loss` if it is 0. `has_units`
    says that there are pictures of the units.
    """
    rows = [
        ("result", verdict(run)),
        ("data", data),
        ("parameters", f"{run.params:,}"),
        ("time", time_taken(run, duration(run.seconds))),
    ]
    if transferred is not None:
        rows.insert(2, ("began with", str(transferred)))
    if run.best_epoch is not None:
        best = run.history[run.best_epoch - 1]
        measures = ", ".join(f"{key} {best[key]:.4f}" for key in best if key.startswith("val_"))
        rows.append(("best epoch", f"{run.best_epoch}" + (f": {measures}" if measures else "")))
    if least_loss is not None:
        rows.append((least_loss.name, least_loss.figure))
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    text = f"# {run.name}\n\n| | |\n|---|---|\n{table}\n"
    if run.advice:
        text += f"\n{run.advice}\n"
    if run.history:
        text += f"\n![curves]({CURVES[0]})\n"
    if has_units:
        text += f"\n![gradients, dead and saturated units]({UNITS_PICTURES[0]})\n"
    if run.test_accuracy is not None:
        text += f"\n![confusion matrix]({CONFUSION_PICTURES[0]})\n"
    if (run.folder / MISTAKES_PICTURES[0]).exists():
        text += f"\n![the worst mistakes]({MISTAKES_PICTURES[0]})\n"
    if run.saved is not None:
        text += _USE.format(saved=run.saved)
    again = f"`{_command('fit', run.folder / SPEC)}` repeats the run."
    if run.outcome in {"finished", "interrupted"}:
        more = ["--epochs", str(2 * len(run.history))] if run.outcome == "finished" else []
        resume = _command("fit", "--resume", run.folder, *more)
        again = f"`{resume}` resumes it from `{CHECKPOINTS}`; {again}"
    folder.write_text(run.folder / SUMMARY, f"{text}{_FILES}{again}\n")


def _command(*words: str | os.PathLike[str]) -> str:
    """Return a command that can be pasted into a shell."""
    return shlex.join(["archspec", *(os.fspath(word) for word in words)])


_USE: Final = """
`{saved}` is an ordinary Keras model:

```python
import archspec

model = archspec.load_model("{saved}")
```

After `import archspec.layers`, `keras.models.load_model` loads it too, up to about a thousand
layers deep.
"""

_FILES: Final = f"""
`{SPEC}` holds the network and its recipe, `{DATA}` describes the images, `{ENVIRONMENT}` the
machine, and `{HISTORY}` has a row for each epoch.
"""
