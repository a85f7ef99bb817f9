"""Databases that a person keeps, by name or by the id of the run that made them."""

from typing import Final

from sqlalchemy import URL

from testdb.adapter import LOGICAL
from testdb.identity.disposable import Kind, Marker, Purpose, prove
from testdb.identity.errors import LifecycleError, RefusedError
from testdb.identity.names import Name, is_run_id
from testdb.postgres import Connection, catalog, databases, leases, templates
from testdb.postgres.catalog import Entry
from testdb.runs import KEPT_DAYS, migrations
from testdb.runs.run import DatabaseSet, Run, start

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
        _use_alone(connection, entry, "dropped")
        databases.drop(connection, entry.proven, end_sessions=end_sessions)
    return [entry.name for entry in found]


def _use_alone(connection: Connection, entry: Entry, done: str) -> None:
    if not leases.try_exclusively(connection, entry.lease):
        msg = f"{entry.name} was not {done}: somebody uses it now (`invoke db.list`)."
        raise RefusedError(msg)


def migrate(run: Run, entry: Entry) -> None:
    """Migrate a database that `create` made to the newest revision.

    Its lease is held as long as this run's own.

    Raises:
        RefusedError: `create` did not make it, or somebody uses it.
        LifecycleError: the migrations fail.
    """
    marker = _marker_of_created(entry)
    _use_alone(run.connection, entry, "migrated")
    migrations.migrate(marker.logical, run.server.url_of(entry.name))


def add_missing(run: Run, entry: Entry) -> dict[str, URL]:
    """Make what the set of a database lacks: one for each logical database that came after it.

    They are kept as long as the others. Their lease is held as long as this run's own.

    Returns:
        Their URLs, by logical database.

    Raises:
        RefusedError: `create` did not make the set, or somebody uses it.
        LifecycleError: the migrations fail.
    """
    marker, connection = _marker_of_created(entry), run.connection
    _use_alone(connection, entry, "extended")
    names = {logical: Name.of(marker.run, WORKER, logical) for logical in LOGICAL}
    comments = catalog.comments(connection, names.values())
    urls = {}
    for logical, name in names.items():
        if comments.get(str(name)):
            continue
        if str(name) in comments:  # somebody was killed between CREATE and COMMENT
            databases.drop(connection, prove(str(name), None))
        purpose = Purpose(
            run=marker.run, worker=WORKER, logical=logical, kind=Kind.CREATED, role=WORKER
        )
        templates.clone(
            connection, run.template(logical), name, purpose, kept_until=marker.kept_until
        )
        urls[logical] = run.server.url_of(str(name))
    return urls


def _marker_of_created(entry: Entry) -> Marker:
    marker = entry.proven.marker
    if marker is None or marker.kind is not Kind.CREATED:
        msg = f"{entry.name} was not made by `invoke db.create`; only such databases are migrated."
        raise RefusedError(msg)
    return marker
