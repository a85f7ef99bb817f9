"""What is on the server: databases, their markers, and who is connected to them. It only looks."""

import math
from collections.abc import Callable, Iterable, Sequence
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
    def logical(self) -> str:
        """Its logical database; without a marker as the name spells it."""
        return self.proven.marker.logical if self.proven.marker else self.proven.name.logical

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


Rule = Callable[[str, str | None], Disposable]
"""`prove`, or `prove_own` of a living run."""


def read(connection: psycopg.Connection) -> Catalog:
    """Read the server's catalog: the oldest databases first, those without a marker last."""
    ours_or_like_it = r"starts_with(lower(datname), 'testdb_') OR description ~ '^\s*\{'"
    return _look(connection, prove, ours_or_like_it)


def find(connection: psycopg.Connection, name: str) -> tuple[Entry, ...]:
    """Find a disposable database by its name."""
    return _look(connection, prove, "datname = %s", name).entries


def of_run(connection: psycopg.Connection, run: str, rule: Rule = prove) -> tuple[Entry, ...]:
    """Find the databases of a run, by the rule that applies to whoever asks."""
    found = _look(connection, rule, "starts_with(datname, %s)", prefix_of(run)).entries
    return tuple(entry for entry in found if entry.proven.name.run == run)


def _look(
    connection: psycopg.Connection, rule: Rule, condition: LiteralString, *parameters: object
) -> Catalog:
    """Look at the databases for which a condition holds. The server chooses: it may have others."""
    query = SQL(
        "SELECT datname, description, now(), coalesce(pids, '{{}}'),"
        " CASE WHEN NOT pg_has_role(datdba, 'USAGE') THEN datdba::regrole::text END"
        " FROM pg_database d"
        " LEFT JOIN pg_shdescription c ON objoid = d.oid AND classoid = 'pg_database'::regclass"
        " LEFT JOIN (SELECT datid, array_agg(pid) AS pids FROM pg_stat_activity"
        "            WHERE backend_type = 'client backend' GROUP BY datid) s ON datid = d.oid"
        " WHERE {} ORDER BY datname"
    ).format(SQL(condition))
    rows = connection.execute(query, parameters or None).fetchall()
    # Read after the databases: a run takes its lease before it makes any.
    held = leases.held(connection)
    entries, look_alikes = [], []
    for name, comment, now, pids, owned_by in rows:
        try:
            proven = rule(name, comment)
        except NotDisposableError as refusal:
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


def comments(connection: psycopg.Connection, names: Iterable[Name | str]) -> dict[str, str | None]:
    """Read the comments of those of these databases that are there, by their names."""
    query = (
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = ANY(%s)"
    )
    return dict(connection.execute(query, [[str(name) for name in names]]).fetchall())


def sessions_on(connection: psycopg.Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """Describe the sessions on those of these databases that have any, by their names.

    Autovacuum, which acts as no role, is none: the server ends it where it drops.
    """
    query = (
        "SELECT datname, array_agg(coalesce(nullif(application_name, ''), 'a session')"
        "  || ' of ' || usename || ' (backend ' || pid || ')' ORDER BY pid) FROM pg_stat_activity"
        " WHERE datname = ANY(%s) AND usename IS NOT NULL GROUP BY datname ORDER BY datname"
    )
    return dict(connection.execute(query, [[*names]]).fetchall())


def roles(connection: psycopg.Connection) -> set[str]:
    """List the server's roles."""
    return {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


def prepared_transactions(connection: psycopg.Connection, run: str) -> list[tuple[str, str]]:
    """Find the prepared transactions in databases of a run: those, and their ids."""
    query = "SELECT database, gid FROM pg_prepared_xacts WHERE starts_with(database, %s)"
    return connection.execute(query, [prefix_of(run)]).fetchall()


def size_bytes(connection: psycopg.Connection, name: str) -> int:
    """Measure a database in bytes; 0 if it has gone, or is not ours to look into."""
    try:
        cursor = connection.cursor(row_factory=scalar_row)
        return int(cursor.execute("SELECT pg_database_size(%s)", [name]).fetchone() or 0)
    except (psycopg.errors.InvalidCatalogName, psycopg.errors.InsufficientPrivilege):
        return 0
