"""Random tests draw the same examples everywhere; ARCHSPEC_EXAMPLES=20 draws 20 times as many."""

import os

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
