"""Put a database back to what its template held, in a millisecond; or say why that fails.

PostgreSQL counts what is written to each table and to each catalog. A look at these counters tells
what a test has changed, without reading a row. Rows and sequences are put back; for whatever else
was changed the database is cloned anew: correctness comes from the clone, speed from the reset.

A session adds to the counters when it ends, or when it is told to: see sessions.py.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import psycopg
from psycopg import generators, waiting
from psycopg.pq import ExecStatus
from psycopg.sql import SQL

from testdb.identity.errors import NotDisposableError
from testdb.identity.names import parse
from testdb.postgres.contents import Contents, Seed

LOCK_MILLISECONDS: Final = 100
"""How long a reset waits for a lock: after that, somebody still holds it."""
SCHEMA_CHANGED: Final = "the schema was changed"
FLUSH: Final = "SELECT pg_stat_force_next_flush()"
"""Has a session add to the counters as soon as it is idle."""


class Look(NamedTuple):
    """What has been counted, and where the database differs from its template."""

    sessions: int
    """How many there are on the database, this one included."""
    inserted: Sequence[int]
    """Rows, into each table that the template holds empty."""
    written: Sequence[int]
    """Rows of each other table."""
    files: Sequence[int]
    """The file of each of these: TRUNCATE and REFRESH count no rows, but change it."""
    catalogs: Sequence[int]
    database: str
    moved: Sequence[int]
    """Sequences that are not where the template has them."""


class Resetter:
    """Puts one database back to what it held when this was made: make it right after cloning.

    Call `look` when nobody writes any more, then `begin`, and `finish` before somebody does again.
    """

    def __init__(self, connection: psycopg.Connection, contents: Contents | None = None) -> None:
        """Look at the fresh database.

        Args:
            connection: to that database, in autocommit mode. It becomes the resetter's own.
            contents: those of its template, if they are known.

        Raises:
            NotDisposableError: the server says that it is another database.
        """
        self._connection = connection
        database, counts, *_ = connection.execute(
            "SELECT current_database(), current_setting('track_counts'),"
            " set_config('lock_timeout', %s, false),"
            " set_config('stats_fetch_consistency', 'none', false)",
            [str(LOCK_MILLISECONDS)],
        ).fetchall()[0]
        if parse(database) is None:
            raise NotDisposableError(database, "a reset deletes its rows")
        self.obstacle: str | None = None
        """What stands in the way of a reset, once that is known."""
        self._sent = 0
        """How many statements `finish` waits for."""
        self._refilled: list[Seed] = []
        self._is_recounted = False
        """The reset itself writes what counts as a change."""
        self.contents = contents
        """None if they cannot be read."""
        self._before = self._now = Look(1, [], [], [], [], "", [])
        try:
            self.contents = contents or Contents(connection)
            self._before = self._look(self.contents)
        except psycopg.Error as error:
            self.obstacle = _reason(error)
        if counts != "on":
            self.obstacle = "the server counts nothing: track_counts is off"

    def look(self) -> int:
        """Look what was changed.

        Returns:
            How many others have a session on the database; -1 if that cannot be known.
        """
        try:
            if self.contents:
                self._now = self._look(self.contents)
                return self._now.sessions - 1
        except psycopg.Error as error:
            self.obstacle = self.obstacle or _reason(error)
        return -1

    def begin(self) -> None:
        """Have the server put the database back, by what the last look found."""
        self._unless_in_the_way(self._begin)

    def finish(self) -> None:
        """Wait until the database is put back."""
        if self._sent:
            self._unless_in_the_way(self._finish)

    def _unless_in_the_way(self, step: Callable[[Contents], str | None]) -> None:
        if self.contents and self.obstacle is None:
            try:
                self.obstacle = step(self.contents)
            except psycopg.Error as error:
                self.obstacle = _reason(error)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _begin(self, holds: Contents) -> str | None:
        before, now = self._before, self._now
        if now.database != before.database:
            return "settings, owner, rights or comment of the database were changed"
        catalogs = _changed(holds.catalogs, before.catalogs, now.catalogs)
        if catalogs and not holds.has_same(self._connection, {name for _, name in catalogs}):
            return SCHEMA_CHANGED
        filled = _changed(holds.empty, before.inserted, now.inserted)
        written = set(_changed(holds.full, before.written, now.written))
        replaced = set(_changed(holds.full, before.files, now.files))
        grown = holds.only_grown(self._connection, written - replaced)
        touched = holds.with_what_refers_to((written | replaced) - grown)
        if lost := touched - holds.seeds.keys():
            names = ", ".join(sorted(table.name.as_string() for table in lost))
            return f"what is not refilled was changed: {names}"
        self._refilled = [holds.seeds[table] for table in touched]
        self._before = now._replace(moved=[])
        self._is_recounted = bool(written or touched)
        grown = grown.union(filled) - touched
        if grown or touched or now.moved:
            statements = [SQL(FLUSH), *holds.restoring(grown, self._refilled, now.moved)]
            self._sent = len(statements)
            # One string goes in one round trip; psycopg's pipeline takes three times as long here.
            self._connection.pgconn.send_query(SQL("; ").join(statements).as_bytes())
            self._connection.pgconn.flush()
        return None

    def _finish(self, holds: Contents) -> str | None:
        pgconn = self._connection.pgconn
        results = waiting.wait(generators.execute(pgconn), pgconn.socket)
        sent, self._sent = self._sent, 0
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        is_disturbed = holds.has_triggers and results[-1].get_value(0, 0) != b"f"
        is_refilled = all(seed.is_complete(self._connection) for seed in self._refilled)
        if len(results) != sent or is_disturbed or not is_refilled:
            return "rows cannot be put back: a trigger or a rule is in the way"
        if self._is_recounted:
            self._before = self._look(holds)
        return None

    def _look(self, holds: Contents) -> Look:
        return Look(*self._connection.execute(holds.look, prepare=True).fetchall()[0])


Thing = TypeVar("Thing")


def _changed(things: Sequence[Thing], before: Sequence[int], now: Sequence[int]) -> list[Thing]:
    if before == now:
        return []
    return [thing for thing, was, is_ in zip(things, before, now, strict=True) if was != is_]


def _reason(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.UndefinedTable):
        return SCHEMA_CHANGED
    return str(error).partition("\n")[0]
