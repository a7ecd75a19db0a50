"""Random tests draw the same examples everywhere; ARCHSPEC_EXAMPLES says how many times as many."""

import gc
import os
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.blank import blank, blank_pictures
from support.browser import chromium, idle_windows, open_page
from support.serving import serve

__all__ = ["blank_pictures", "chromium", "idle_windows", "open_page", "serve"]

# Threads of scikit-learn, PyTorch and OpenBLAS. Where processes share the cores they wait for each
# other in loops: two tests of t-SNE took 11.7 s of processor time, and take 3.7 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Python looks for garbage after so many new objects; after 700, where nobody says so, it spends a
# twelfth of the time of tests of figures and expansions on it.
gc.set_threshold(50_000)

MORE = float(os.environ.get("ARCHSPEC_EXAMPLES", "1"))
"""Multiple of the usual number of examples that is drawn: 0.1 in `make test-fast`."""

FULL = 4
"""The number of `make test-all`; above it the examples are new each time."""

settings.register_profile(
    "archspec",
    database=None,
    deadline=None,
    derandomize=MORE <= FULL,
    max_examples=round(100 * MORE),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("archspec")


LONGEST = (
    *("test_distribution", "test_resume", "test_serve_page", "test_eject", "test_page"),
    *("test_export", "test_limits", "test_training", "test_keras", "test_figure_formats"),
    *("test_compilation", "test_understanding", "test_backends", "test_serve", "test_measure"),
    *("test_task_runs", "test_eject_keras", "test_keras_layers", "test_faithful", "test_reimport"),
    *("test_figure_maps", "test_startup", "test_language_server", "test_explain_cli"),
    *("test_figure_graph", "test_python_page", "test_imports_keras", "test_evaluation"),
)
"""Files of tests that take longest, in the order in which they begin.

Begun late, one of them would run on in one process while the others have nothing left to do.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that drive a Chromium or ask for Keras; put the longest files first."""
    for item in items:
        for fixture, mark in (("chromium", "client"), ("keras", "keras")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that are all about what is not wanted: some import it at once."""
    unwanted = [mark for mark in ("client", "keras") if f"not {mark}" in config.option.markexpr]
    if unwanted and collection_path.suffix == ".py":
        text = collection_path.read_text(encoding="utf-8")
        marks = re.search(r"^pytestmark = (\[[^\]]*\]|.*)$", text, re.MULTILINE)
        found = re.findall(r"\bpytest\.mark\.(\w+)", marks[1]) if marks else []
        return any(mark in found for mark in unwanted) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among thousands of new tests, which takes longer than to make them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a file that imports Keras where it is collected, if it is not marked so."""
    before = "keras" in sys.modules
    report = yield
    marked = collector.get_closest_marker("keras") is not None
    if not before and "keras" in sys.modules and not marked and report.passed:
        report.outcome = "failed"
        report.longrepr = "this file imports Keras: write `pytestmark = pytest.mark.keras`"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    with _keras_is_marked(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    with _keras_is_marked(item):
        yield


@contextmanager
def _keras_is_marked(item: pytest.Item) -> Iterator[None]:
    """Fail a test that is the first to import Keras, itself or by a fixture, if it has no mark."""
    before = "keras" in sys.modules
    yield
    if not before and "keras" in sys.modules and item.get_closest_marker("keras") is None:
        pytest.fail("this test imports Keras; mark it with @pytest.mark.keras", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _no_power_failure() -> Iterator[None]:
    """Wait for no disk: what tests write need not outlast a power failure.

    Runs, pictures and pages are written file by file, and each would be waited for, 7 ms and more.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _little_garbage_to_look_through() -> None:
    """Keep Python from looking through all that earlier files left, such as models, again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras on its backend; a test that asks for it is marked so."""
    from archspec.keras_model.engine import load_keras

    return load_keras()


@pytest.fixture
def new_session(keras: Any) -> Iterator[None]:
    """Let Keras forget the test's models, and count the names of layers from the start again."""
    yield
    keras.utils.clear_session(free_memory=False)


DIGITS = """
name: digits_run
input: [8, 8, 1]
vars: {classes: 10}
layers:
  - {name: conv1, conv: {filters: 8, kernel: 3, activation: relu}}
  - {name: pool1, max_pool: {size: 2}}
  - {name: conv2, conv: {filters: 12, kernel: 3, padding: same, activation: relu}}
  - flatten
  - {name: fc3, fc: {units: 16, activation: relu}}
  - {name: fc4, fc: {units: =classes, activation: softmax}}
train: {data: digits, epochs: 3}
"""


@pytest.fixture(scope="session")
def digits_run(keras, tmp_path_factory):  # noqa: ARG001
    """The folder of a small run on the digits of scikit-learn, trained once for all tests.

    Its pictures are blank.
    """
    import archspec

    home = tmp_path_factory.mktemp("digits")
    (home / "spec.yaml").write_text(DIGITS, encoding="utf-8")
    with blank():
        archspec.fit(home / "spec.yaml", out=home / "run")
    return home / "run"
