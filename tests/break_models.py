"""Changes model files at random, and holds that each is a table or a sentence, in bounds.

    python tests/break_models.py 1000000 --seed 7       # for a night; prints what fails
    python tests/break_models.py 20000 --like "*.keras" "*.h5"
    python tests/break_models.py 1 --seed 7 --start 123456 --keep broken.keras

Each file is read in a process whose memory is bounded and whose computing time is watched. A
process that ends is a failure.
"""

import argparse
import faulthandler
import json
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from support.broken_files import changed, files

SECONDS = 20
"""Most computing time for a file: the largest fixture takes less than one."""

MEGABYTES = 1_500
"""Most memory of the process, that of Python and its libraries included."""

ONE_PROCESS = 2_000
"""Number of files that one process reads."""

LONGEST_MESSAGE = 3_000
"""Largest number of characters of a line of a message."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--like", nargs="+", default=["*"], help="names of the files to change")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    if options.inside or options.keep:
        return read_some(options)
    failed = 0
    outcomes: Counter[str] = Counter()
    at, end = options.start, options.start + options.count
    while at < end:
        count = min(ONE_PROCESS, end - at)
        words = [str(count), "--seed", options.seed, "--start", str(at), "--inside"]
        words += ["--like", *options.like]
        command = [sys.executable, __file__, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        last = at
        for line in lines:
            data = json.loads(line)
            last = max(last, data["at"])
            outcomes[data["outcome"]] += 1
            failed += data["outcome"] == "failed"
            if data["outcome"] in ("failed", "unforeseen"):
                print(f"{data['at']} {data['file']}: {data['what']}", flush=True)
        if done.returncode:
            failed += 1
            print(f"{last}: the process ended with {done.returncode}: {done.stderr[-500:]}")
            at = last + 1
        else:
            at += count
    print(", ".join(f"{n:,} {name}" for name, n in sorted(outcomes.items())))
    return int(failed > 0)


def read_some(options: argparse.Namespace) -> int:
    """Read some files and print the outcome of each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES * 2**20, MEGABYTES * 2**20))
    signal.signal(signal.SIGPROF, _too_long)
    faulthandler.enable()
    paths = [path for path in files() if any(map(path.match, options.like))]
    with tempfile.TemporaryDirectory() as folder:
        for at in range(options.start, options.start + options.count):
            random = Random(f"{options.seed} {at}")  # noqa: S311
            path = random.choice(paths)
            broken = Path(folder, path.name)
            broken.write_bytes(changed(path.read_bytes(), random))
            if options.keep:
                options.keep.write_bytes(broken.read_bytes())
            # Before it is read: a process that ends has said at which file.
            print(json.dumps({"at": at, "outcome": "begun", "file": path.name}), flush=True)
            outcome, what = outcome_of(broken)
            data = {"at": at, "outcome": outcome, "file": path.name, "what": what}
            print(json.dumps(data), flush=True)
    return 0


def outcome_of(path: Path) -> tuple[str, str]:
    """Return the outcome of reading a file: a table, a sentence, or a failure and what it is."""
    import archspec
    from archspec.errors import ArchspecError

    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        costs = archspec.report(path)
        text = str(costs)
        json.dumps(costs.to_dict(), allow_nan=False)
    except ArchspecError as error:
        message = str(error)
        if max(map(len, message.splitlines()), default=0) > LONGEST_MESSAGE:  # a line a problem
            return "failed", f"a message of {len(message):,} characters: {message[:200]!r}"
        return ("unforeseen" if "cannot be read as" in message else "sentences"), message
    except BaseException as error:  # noqa: BLE001  (also what is not a `Exception`)
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{type(error).__name__}: {error!s:.200} ({place.filename}:{place.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if "\x1b" in text:
        return "failed", "a table with control characters"
    return "tables", ""


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
