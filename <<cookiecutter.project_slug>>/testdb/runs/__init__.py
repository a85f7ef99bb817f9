"""A run and its databases, what dead runs left, what people keep, and whether migrations fit.

testing, processes and tasks import it. Start with `start` and `Run.create` in run.py.
"""

from typing import Final

from testdb.runs import environment

KEPT_DAYS: Final = 7.0
"""How long a database is kept, from when it was created or kept, unless told otherwise."""

# Whoever makes databases has the settings of no others from here on.
environment.apply()
