"""Disposable databases for tests, examples and tasks: five rooms, and one file to edit.

identity    who owns what: how names are spelled, the marker, and THE RULE of what may be dropped
postgres    all that only PostgreSQL understands: servers, locks, databases, templates, the reset
runs        a run and its databases, the sweep, kept databases, the check of migrations
testing     the pytest side: the worker's databases, isolation, the audit
processes   the service and the examples as child processes that end with their parent

adapter.py  EDIT THIS: the one link to your service

Imports go one way: {testing, processes} → runs → postgres → identity. `adapter` imports the service
alone, and postgres knows nothing of it.
"""

from testdb.identity import interpreter as interpreter
from testdb.postgres import environment
from testdb.postgres.guard import guard as guard

# Importing anything of testdb does this, and installs the guard, before the service can connect.
environment.restrict()
