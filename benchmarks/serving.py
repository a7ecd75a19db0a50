"""Time from a save of the file to the new picture in the browser, with `archspec serve`.

    python benchmarks/serving.py

Each turn writes the file, as an editor saves it, with another number of classes, and waits until
Chromium has painted the network with that number of parameters. The clock starts before the file is
written and stops after the frame in which the page was drawn. A few turns come first that are not
counted.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, cast

from playwright.sync_api import Frame, sync_playwright
from run import ARCHSPEC

import archspec
from archspec.spec.writing import to_yaml

NETWORKS = ("lenet5", "vgg16", "resnet50", "densenet201")
TURNS = 40
WARM = 5
PATIENCE = 60.0

WATCH = """
() => {
  const totals = document.getElementById("totals");
  window.painted = {};
  new MutationObserver(() => {
    const text = totals.textContent;
    requestAnimationFrame(() => setTimeout(() => { window.painted[text] ??= Date.now(); }));
  }).observe(totals, {childList: true, subtree: true, characterData: true});
}
"""
"""Keeps when each text of the totals was painted: after the frame in which it was set."""


def painted(frame: Frame, params: int) -> float:
    """Return when the page was painted with so many parameters, in seconds."""
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience:
        for text, when in frame.evaluate("window.painted").items():
            if text.startswith(f"parameters{params:,}"):
                return float(when) / 1_000
        time.sleep(0.05)
    raise TimeoutError


def turns(name: str, frame: Frame, path: Path) -> list[float]:
    """Return the milliseconds of each turn."""
    durations = []
    for turn in range(WARM + TURNS):
        changed = archspec.load(name, classes=20 + turn)
        text, params = to_yaml(changed.to_dict()), archspec.report(changed).totals.params
        time.sleep(0.3)  # so that the turns do not meet
        begun = time.time()
        path.write_text(text, encoding="utf-8")
        durations.append(1_000 * (painted(frame, params) - begun))
    return durations[WARM:]


def main() -> None:
    """Print a row for each network."""
    print(f"{'network':<14}{'median':>8}{'90 %':>8}{'most':>8}   milliseconds, {TURNS} saves")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name in NETWORKS:
            path = Path(folder, f"{name}.yaml")
            path.write_text(to_yaml(archspec.load(name).to_dict()), encoding="utf-8")
            command = [ARCHSPEC, "serve", str(path), "--no-open"]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            address = re.findall(r"http://\S+", cast(IO[str], server.stdout).readline())
            page = browser.new_page()
            page.goto(*address)
            page.frame_locator("#live-page").locator("#totals dt").first.wait_for()
            frame = cast(Frame, page.frame(url=re.compile("/network$")))
            frame.evaluate(WATCH)
            took = sorted(turns(name, frame, path))
            tenth = took[int(0.9 * len(took))]
            print(f"{name:<14}{statistics.median(took):>8.0f}{tenth:>8.0f}{took[-1]:>8.0f}")
            page.close()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
