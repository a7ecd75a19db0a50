"""The page of a network: how large it is, how long it takes to write, and until one can use it.

    python benchmarks/page.py                     # DenseNet-201, and others
    python benchmarks/page.py mine.yaml

Times in the browser are medians of a headless Chromium: from the navigation until the second frame
after the page has loaded, and from a click until the second frame after it.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright
from run import ARCHSPEC, whole_process

ROUNDS = 7
SPECS = ("vgg16", "densenet201", "resnet152", "cifar_resnet1202")
WIDE = {"width": 1200, "height": 900}

FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""A promise of the second frame from now: the first has been drawn by then."""

READY = (
    f'addEventListener("load", () => {FRAMES}.then(() => {{ window.ready = performance.now() }}))'
)

ACTIONS = {
    "unfold all": 'const at = document.getElementById("levels"); at.value = at.options.length - 1;'
    'at.dispatchEvent(new Event("change", {bubbles: true}))',
    "sort": 'document.querySelector("th[data-name=params] button").click()',
    "batch": 'const at = document.getElementById("batch"); at.value = 7;'
    'at.dispatchEvent(new Event("input", {bubbles: true}))',
}
"""What a user does, as JavaScript."""


def main(specs: tuple[str, ...]) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("page    no Chromium is installed")
        return
    print(f"{'network':18}{'file':>9}{'written':>10}{'ready':>9}" + "".join(
        f"{name:>13}" for name in ACTIONS
    ))  # fmt: skip
    with TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for spec in specs:
            file = Path(folder, "net.html")
            write = [ARCHSPEC, "build", spec, "-o", str(file)]
            seconds = [whole_process(write).seconds for _ in range(3)]
            times: list[list[float]] = []
            for _ in range(ROUNDS):
                page = browser.new_page(viewport=WIDE)
                times.append(used(page, file))
                page.close()
            medians = [statistics.median(column) for column in zip(*times, strict=True)]
            print(
                f"{Path(spec).stem:18}{file.stat().st_size / 1000:>6,.0f} kB"
                f"{statistics.median(seconds):>8.2f} s{medians[0]:>6.0f} ms"
                + "".join(f"{each:>10.0f} ms" for each in medians[1:])
            )
        browser.close()


def used(page: Page, file: Path) -> list[float]:
    """Return the milliseconds until the page is ready, and until each action is."""
    page.add_init_script(READY)
    page.goto(file.as_uri())
    ready = "async () => { while (!window.ready) await new Promise(setTimeout); return ready }"
    times = [float(page.evaluate(ready))]
    for action in ACTIONS.values():
        script = (
            f"async () => {{ const start = performance.now(); {{ {action} }}"
            f" await {FRAMES}; return performance.now() - start }}"
        )
        times.append(float(page.evaluate(script)))
    return times


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or SPECS)
