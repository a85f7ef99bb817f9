"""What is on the server: databases, their markers, and who is connected to them. It only looks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import scalar_row
from psycopg.sql import SQL

from testdb.identity.disposable import Disposable, Kind, prove
from testdb.identity.errors import NotDisposableError
from testdb.identity.names import Name, prefix_of
from testdb.postgres import leases


@dataclass(frozen=True)
class Entry:
    """One disposable database as the server shows it."""

    proven: Disposable
    name: str
    alive: bool
    """Somebody holds the lease of its run (of a template: somebody uses it)."""
    is_kept: bool
    """A person keeps it, and its expiry has not passed."""
    pids: tuple[int, ...]
    """Backends that are connected to it."""
    owned_by: str | None
    """The role that owns it, if that is not ours to act for."""

    @property
    def is_cached_template(self) -> bool:
        """It outlives its run, for others to clone."""
        return self.proven.name.run is None

    @property
    def kind(self) -> Kind | None:
        """What it was made for; None without a marker."""
        return self.proven.marker.kind if self.proven.marker else None

    @property
    def created(self) -> datetime | None:
        """When it was made, by the server's clock; None without a marker."""
        return self.proven.marker.created if self.proven.marker else None

    @property
    def lease(self) -> str:
        """Whose lock says that it is in use: its run's, or a cached template's own."""
        return self.proven.name.run or self.name


@dataclass(frozen=True)
class LookAlike:
    """A database that the rule refuses although something about it looks like ours."""

    name: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """The databases of this project on a server, and those that only look like it."""

    entries: tuple[Entry, ...]
    look_alikes: tuple[LookAlike, ...]


def read(connection: psycopg.Connection) -> Catalog:
    """Read the server's catalog: the oldest databases first, those without a marker last."""
    return _look(connection)


def find(connection: psycopg.Connection, names: Iterable[Name | str]) -> tuple[Entry, ...]:
    """Find disposable databases by their names; those that are not there are left out."""
    return _look(connection, "WHERE datname = ANY(%s)", [str(name) for name in names]).entries


def of_run(connection: psycopg.Connection, run: str) -> tuple[Entry, ...]:
    """Find the databases of a run."""
    found = _look(connection, "WHERE starts_with(datname, %s)", prefix_of(run)).entries
    return tuple(entry for entry in found if entry.proven.name.run == run)


def _look(
    connection: psycopg.Connection, condition: LiteralString = "", *parameters: object
) -> Catalog:
    query = SQL(
        "SELECT datname, shobj_description(oid, 'pg_database'), now(),"
        " ARRAY(SELECT pid FROM pg_stat_activity a WHERE a.datid = d.oid"
        "       AND backend_type = 'client backend'),"
        " CASE WHEN pg_has_role(datdba, 'USAGE') THEN NULL ELSE datdba::regrole::text END"
        " FROM pg_database d {} ORDER BY datname"
    ).format(SQL(condition))
    rows = connection.execute(query, parameters).fetchall()
    # Read after the databases: a run takes its lease before it makes any.
    held = leases.held(connection)
    entries, look_alikes = [], []
    for name, comment, now, pids, owned_by in rows:
        try:
            proven = prove(name, comment)
        except NotDisposableError as refusal:
            if name.lower().startswith("testdb_") or (comment or "").lstrip().startswith("{"):
                look_alikes.append(LookAlike(name, f"not disposable: {refusal.reason}"))
            continue
        kept_until = proven.marker.kept_until if proven.marker else None
        entries.append(
            Entry(
                proven=proven,
                name=name,
                alive=leases.key_of(proven.name.run or name) in held,
                is_kept=kept_until is not None and kept_until > now,
                pids=tuple(pids),
                owned_by=owned_by,
            )
        )
    entries.sort(key=lambda entry: entry.created.timestamp() if entry.created else math.inf)
    return Catalog(tuple(entries), tuple(look_alikes))


def check_disposable(connection: psycopg.Connection, name: str) -> None:
    """Apply the rule to a database, if there is one of this name.

    Raises:
        NotDisposableError: there is, and it is not ours to touch.
    """
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    for (comment,) in connection.execute(query, [name]):
        prove(name, comment)


def sessions_left_open(
    connection: psycopg.Connection, names: Iterable[Name], *, ours: str, pooled: str
) -> dict[int, str]:
    """Find the sessions on databases that somebody forgot to close.

    Args:
        connection: to the server.
        names: which databases.
        ours: the application_name of the run's own sessions, which do not count.
        pooled: the application_name of sessions that may stay, idle, in a pool.

    Returns:
        What each is doing and who opened it, by the pid of its backend.
    """
    rows = connection.execute(
        "SELECT pid, state, application_name FROM pg_stat_activity"
        " WHERE datname = ANY(%s) AND backend_type = 'client backend'"
        " AND application_name <> %s AND (state <> 'idle' OR application_name <> %s)",
        [[str(name) for name in names], ours, pooled],
    )
    return {pid: f"{state} (opened by {opener})" for pid, state, opener in rows}


def size_bytes(connection: psycopg.Connection, name: str) -> int:
    """Measure a database in bytes; 0 if it has gone, or is not ours to look into."""
    try:
        cursor = connection.cursor(row_factory=scalar_row)
        return int(cursor.execute("SELECT pg_database_size(%s)", [name]).fetchone() or 0)
    except (psycopg.errors.InvalidCatalogName, psycopg.errors.InsufficientPrivilege):
        return 0
