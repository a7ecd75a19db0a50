"""Random tests draw the same examples everywhere; ARCHSPEC_EXAMPLES=20 draws 20 times as many."""

import os

import pytest
from hypothesis import HealthCheck, settings

MORE = int(os.environ.get("ARCHSPEC_EXAMPLES", "1"))
"""How many times the usual number of examples is drawn; if more, they are new each time."""

settings.register_profile(
    "archspec",
    database=None,
    deadline=None,
    derandomize=MORE == 1,
    max_examples=100 * MORE,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("archspec")

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
def digits_run(tmp_path_factory):
    """The folder of a small run on the digits of scikit-learn, trained once for all tests."""
    import archspec

    home = tmp_path_factory.mktemp("digits")
    (home / "spec.yaml").write_text(DIGITS, encoding="utf-8")
    archspec.fit(home / "spec.yaml", out=home / "run")
    return home / "run"
