"""Databases that a person keeps, by name or by the id of the run that made them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL

from testdb.adapter import LOGICAL
from testdb.identity.disposable import Kind, Marker, Purpose, prove
from testdb.identity.errors import LifecycleError, ModelsError, RefusedError
from testdb.identity.names import Name, is_run_id
from testdb.postgres import Connection, Error, catalog, databases, leases, templates
from testdb.postgres.catalog import Entry
from testdb.postgres.psql import psql_uri
from testdb.postgres.waiting import wait_until
from testdb.runs import KEPT_DAYS, migrations
from testdb.runs.run import DatabaseSet, Run, start

WORKER: Final = "person"
"""Stands in the names where other databases have the worker."""
MOST_DAYS: Final = 3650
LEAVE_SECONDS: Final = 1.0
"""How long a session that is about to end may take, before a database counts as used."""


def create(days: float = KEPT_DAYS) -> DatabaseSet:
    """Make a migrated database for every logical database, and keep them for some days.

    Raises:
        LifecycleError: there is no server, the migrations fail, the adapter does not fit the
            service, or that is no number of days.
    """
    if not 0 < days <= MOST_DAYS:
        msg = f"Nothing is kept for {days:g} days: --days is more than 0, and {MOST_DAYS} at most."
        raise LifecycleError(msg)
    migrations.check_adapter()
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


def created(connection: Connection) -> tuple[Entry, ...]:
    """Find what `create` made and nobody has dropped, oldest first."""
    return tuple(entry for entry in catalog.read(connection).entries if entry.kind is Kind.CREATED)


def drop(connection: Connection, wanted: str, *, end_sessions: bool = False) -> list[str]:
    """Drop a database, or all of a run, unless somebody uses one of them; returns their names.

    Their leases are held until the connection is closed.

    Raises:
        RefusedError: one is not disposable, its run lives, or sessions are connected to it.
            Nothing was dropped.
        LifecycleError: the server refused one in the middle; the message says which have gone.
    """
    found = find(connection, wanted)
    for entry in found:
        _use_alone(connection, entry, "Nothing was dropped: ")
    names = [entry.name for entry in found]
    if not end_sessions:
        wait_until(lambda: not catalog.sessions_on(connection, names), LEAVE_SECONDS)
        if used := catalog.sessions_on(connection, names):
            who = "; ".join(f"{name} is used by {', '.join(by)}" for name, by in used.items())
            msg = f"Nothing was dropped: {who}. Close these sessions, or end them by --force."
            raise RefusedError(msg)
    for number, entry in enumerate(found):
        try:
            databases.drop(connection, entry.proven, end_sessions=end_sessions)
        except (RefusedError, Error) as error:
            gone, left = ", ".join(names[:number]), ", ".join(names[number:])
            msg = f"{error} Dropped: {gone or 'nothing'}. Not dropped: {left}."
            raise LifecycleError(msg) from None
    return names


def choose(connection: Connection, wanted: str, logical: str) -> Entry:
    """Choose one database: that of this name, or of a logical database what a run has.

    Args:
        connection: to the server.
        wanted: the name of a database or the id of a run; if empty, what `create` made last.
        logical: of which logical database, unless one is named.

    Raises:
        LifecycleError: there is no such logical database.
        RefusedError: there is no such database, or there are several.
    """
    migrations.check_logical(logical)
    found = find(connection, wanted) if wanted else created(connection)
    if not wanted or is_run_id(wanted):
        found = tuple(entry for entry in found if entry.logical == logical)
    if not found:
        msg = (
            f"Run {wanted} has no database {logical}. `invoke db.list` shows what there is."
            if wanted
            else f"`invoke db.create` has made no database {logical} that is still there. Make one "
            "so, or open another by --on: `invoke db.list` shows what there is."
        )
        raise RefusedError(msg)
    if wanted and len(found) > 1:
        names = ", ".join(entry.name for entry in found)
        msg = f"Run {wanted} has {len(found)} databases {logical}. Name one of them: {names}."
        raise RefusedError(msg)
    return found[-1]


@contextmanager
def use(run_id: str) -> Iterator[DatabaseSet]:
    """Use what `create` made, under the lease of its run: nobody drops it before the context ends.

    Raises:
        RefusedError: that run has not made a database for every logical database.
        ServerError: there is no server that can be used, or a sweep came first.
    """
    if not is_run_id(run_id):
        msg = f"{run_id!r} is not the id of a run, which `invoke db.create` prints."
        raise RefusedError(msg)
    with start(run_id=run_id) as run:
        made = {
            entry.logical: entry
            for entry in run.entries()
            if entry.kind is Kind.CREATED and entry.logical in LOGICAL
        }
        if missing := set(LOGICAL) - made.keys():
            msg = (
                f"Run {run_id} has no database {', '.join(sorted(missing))}. `invoke db.list` "
                f"shows what there is; `invoke db.migrate --on {run_id}` adds what is new."
            )
            raise RefusedError(msg)
        names = {logical: entry.proven.name for logical, entry in made.items()}
        urls = {logical: run.server.url_of(str(name)) for logical, name in names.items()}
        yield DatabaseSet(run.id, names, urls)


def behind(databases: DatabaseSet) -> list[str]:
    """List the logical databases whose database is not at the newest revision.

    Raises:
        LifecycleError: the migrations cannot be read.
    """
    urls = databases.urls.items()
    return [logical for logical, url in urls if not migrations.is_newest(logical, url)]


def _use_alone(connection: Connection, entry: Entry, otherwise: str = "") -> None:
    if not leases.try_exclusively(connection, entry.lease):
        msg = f"{otherwise}somebody uses {entry.name} now (`invoke db.list`)."
        raise RefusedError(msg)


def migrate(wanted: str = "") -> Iterator[str]:
    """Migrate what `create` made to the newest revision, and add what sets lack since.

    Args:
        wanted: one database, or the id of a run; if empty, all that `create` made.

    Yields:
        What has been done, and what has not and why, for a person.

    Raises:
        RefusedError: `create` did not make it.
        ModelsError: the models cannot be imported.
        LifecycleError: the adapter does not fit the service; or some were not migrated, as the
            migrations fail or somebody uses them. All others were.
    """
    migrations.check_adapter()
    failed: list[str] = []
    with start() as run:
        found = find(run.connection, wanted) if wanted else created(run.connection)
        for entry in found:
            marker = _marker_of_created(entry)
            if marker.logical not in LOGICAL:
                yield (
                    f"{entry.name} was left alone: the service has no logical database "
                    f"{marker.logical} any more. `invoke db.drop {entry.name}` drops it."
                )
                continue
            try:
                _use_alone(run.connection, entry)
                migrations.migrate(marker.logical, run.server.url_of(entry.name))
            except ModelsError:
                raise  # whatever comes next would fail by it, too
            except LifecycleError as error:
                failed.append(entry.lease)
                yield f"{entry.name} was not migrated: {error}"
            else:
                yield f"{entry.name} is at the newest revision."
        whole = [e for e in found if wanted in ("", e.lease) and e.lease not in failed]
        for marker in {entry.lease: _marker_of_created(entry) for entry in whole}.values():
            for logical, url in _add_missing(run, marker):
                yield f"{logical}: {psql_uri(url)}"
    if failed:
        drops = ", ".join(f"`invoke db.drop {lease}`" for lease in dict.fromkeys(failed))
        msg = f"Not all databases were migrated; see above why. To give up the others: {drops}."
        raise LifecycleError(msg)


def _add_missing(run: Run, marker: Marker) -> Iterator[tuple[str, URL]]:
    """Make what a set lacks, one for each new logical database, kept as long as the rest."""
    names = {logical: Name.of(marker.run, WORKER, logical) for logical in LOGICAL}
    comments = catalog.comments(run.connection, names.values())
    for logical, name in names.items():
        if comments.get(str(name)):
            continue
        if str(name) in comments:  # somebody was killed between CREATE and COMMENT
            databases.drop(run.connection, prove(str(name), None))
        purpose = Purpose(
            run=marker.run, worker=WORKER, logical=logical, kind=Kind.CREATED, role=WORKER
        )
        template = run.template(logical)
        templates.clone(run.connection, template, name, purpose, kept_until=marker.kept_until)
        yield logical, run.server.url_of(str(name))


def _marker_of_created(entry: Entry) -> Marker:
    marker = entry.proven.marker
    if marker is None or marker.kind is not Kind.CREATED:
        msg = f"{entry.name} was not made by `invoke db.create`; only such databases are migrated."
        raise RefusedError(msg)
    return marker
