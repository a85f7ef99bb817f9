"""Databases that a person keeps, by name or by the id of the run that made them."""

from typing import Final

import psycopg

from testdb import catalog, leases, lifecycle, runs, templates
from testdb.catalog import Entry
from testdb.errors import LifecycleError, RefusedError
from testdb.ownership import Kind, prove
from testdb.runs import DatabaseSet
from testdb.server import Server

WORKER: Final = "person"
"""Stands in the names where other databases have the worker."""
MOST_DAYS: Final = 3650


def create(days: float = runs.KEPT_DAYS) -> DatabaseSet:
    """Make a migrated database for every logical database, and keep them for some days.

    Raises:
        LifecycleError: there is no server, the migrations fail, or that is no number of days.
    """
    if not 0 < days <= MOST_DAYS:
        msg = f"Nothing can be kept for {days:g} days. Choose more than 0 and up to {MOST_DAYS}."
        raise LifecycleError(msg)
    with runs.start() as run:
        return run.create(WORKER, Kind.CREATED, kept_days=days)


def find(connection: psycopg.Connection, wanted: str) -> list[Entry]:
    """Find disposable databases by the name of one, or by the run id of several.

    Raises:
        RefusedError: there is none, or the rule refuses it.
    """
    entries = catalog.read(connection).entries
    found = [entry for entry in entries if wanted in {entry.name, entry.proven.name.run}]
    if found:
        return found
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [wanted]
    ).fetchone()
    if row is not None:
        prove(wanted, row[0])
    msg = f"There is no database or run {wanted!r}. `invoke db.list` shows what there is."
    raise RefusedError(msg)


def created(connection: psycopg.Connection) -> list[Entry]:
    """Find what `create` made and nobody has dropped, oldest first."""
    return [entry for entry in catalog.read(connection).entries if entry.kind is Kind.CREATED]


def drop(connection: psycopg.Connection, wanted: str, *, end_sessions: bool = False) -> list[str]:
    """Drop a database, or all of a run, unless somebody uses them; returns their names.

    Raises:
        RefusedError: it is not disposable, its run lives, or sessions are connected to it.
    """
    found = find(connection, wanted)
    for entry in found:
        if not leases.try_exclusively(connection, entry.lease):
            msg = f"{entry.name} was not dropped: somebody uses it now (`invoke db.list`)."
            raise RefusedError(msg)
        try:
            lifecycle.drop(connection, entry.proven, end_sessions=end_sessions)
        finally:
            leases.release_exclusively(connection, entry.lease)
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
    templates.migrate(server, entry.proven.name, entry.proven.marker.logical)
