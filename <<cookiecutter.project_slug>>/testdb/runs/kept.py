"""Databases that a person keeps, by name or by the id of the run that made them."""

from typing import Final

from testdb.identity.disposable import Kind, prove
from testdb.identity.errors import LifecycleError, RefusedError
from testdb.identity.names import is_run_id
from testdb.postgres import Connection, catalog, databases, leases
from testdb.postgres.catalog import Entry
from testdb.postgres.server import Server
from testdb.runs import KEPT_DAYS, migrations
from testdb.runs.run import DatabaseSet, start

WORKER: Final = "person"
"""Stands in the names where other databases have the worker."""
MOST_DAYS: Final = 3650


def create(days: float = KEPT_DAYS) -> DatabaseSet:
    """Make a migrated database for every logical database, and keep them for some days.

    Raises:
        LifecycleError: there is no server, the migrations fail, or that is no number of days.
    """
    if not 0 < days <= MOST_DAYS:
        msg = f"Nothing can be kept for {days:g} days. Choose more than 0 and up to {MOST_DAYS}."
        raise LifecycleError(msg)
    with start() as run:
        return run.create(WORKER, Kind.CREATED, kept_days=days)


def find(connection: Connection, wanted: str) -> tuple[Entry, ...]:
    """Find disposable databases by the name of one, or by the run id of several.

    Raises:
        RefusedError: there is none, or the rule refuses it.
    """
    if is_run_id(wanted):
        found = catalog.of_run(connection, wanted)
    else:
        found = catalog.find(connection, wanted)
    if found:
        return found
    for name, comment in catalog.comments(connection, [wanted]).items():
        prove(name, comment)  # says why it is none
    msg = f"There is no database or run {wanted!r}. `invoke db.list` shows what there is."
    raise RefusedError(msg)


def created(connection: Connection) -> list[Entry]:
    """Find what `create` made and nobody has dropped, oldest first."""
    return [entry for entry in catalog.read(connection).entries if entry.kind is Kind.CREATED]


def drop(connection: Connection, wanted: str, *, end_sessions: bool = False) -> list[str]:
    """Drop a database, or all of a run, unless somebody uses them; returns their names.

    Their leases are held until the connection is closed.

    Raises:
        RefusedError: it is not disposable, its run lives, or sessions are connected to it.
    """
    found = find(connection, wanted)
    for entry in found:
        if not leases.try_exclusively(connection, entry.lease):
            msg = f"{entry.name} was not dropped: somebody uses it now (`invoke db.list`)."
            raise RefusedError(msg)
        databases.drop(connection, entry.proven, end_sessions=end_sessions)
    return [entry.name for entry in found]


def migrate(server: Server, entry: Entry) -> None:
    """Migrate a kept database to the newest revision.

    Raises:
        RefusedError: nobody made it to be kept.
        LifecycleError: the migrations fail.
    """
    if entry.kind is not Kind.CREATED or entry.proven.marker is None:
        msg = f"{entry.name} was not made by `invoke db.create`; only such databases are migrated."
        raise RefusedError(msg)
    migrations.migrate(entry.proven.marker.logical, server.url_of(entry.name))
