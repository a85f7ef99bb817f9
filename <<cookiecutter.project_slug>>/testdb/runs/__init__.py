"""A run and its databases, what dead runs left, what people keep, and whether migrations fit.

testing, processes and tasks import it. Start with `start` and `Run.create` in run.py.
"""

from testdb.runs import environment

# Whoever makes databases has the settings of no others from here on.
environment.apply()
