"""The sessions of tests: what stays in a pool is cleaned, what somebody forgot is ended.

Importing this module has SQLAlchemy's pools replace a connection that was closed between tests.
"""

import select
import time
from collections.abc import Collection, Iterable, Iterator
from enum import Enum, auto
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import generators, waiting
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection

from testdb.postgres.databases import END_MILLISECONDS
from testdb.postgres.guard import Opened, guard, in_service

GRACE_SECONDS: Final = 0.5
"""How long what a test began may still last: a closed session ends by itself, but not at once."""
CLEAN: Final = b"""
SELECT pg_stat_force_next_flush(), EXISTS (SELECT pg_listening_channels())
    OR EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql);
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *;
SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP;
"""
"""What DISCARD ALL does, but for prepared statements: psycopg counts on those that it made."""
FLUSH: Final = b"SELECT pg_stat_force_next_flush(), false"


class Session(NamedTuple):
    """A session as the server shows it."""

    pid: int
    state: str
    opener: str
    """Its application_name."""

    def describe(self, pooled: str) -> str:
        """Say what it does and who began it; `pooled` is the application_name of those in pools."""
        opener = "the service, or a session fixture" if self.opener == pooled else self.opener
        return f"{self.state} (opened by {opener})"


class Holder(Enum):
    """Who has a connection that came from a pool of SQLAlchemy."""

    POOL = auto()
    CLEANED = auto()
    """The pool, and nobody has used it since it was cleaned."""
    TEST = auto()
    SERVICE = auto()
    """A task that the service's lifespan began."""


_holders: Final[WeakKeyDictionary[PGconn, Holder]] = WeakKeyDictionary()
_used_by_test: Final[WeakSet[PGconn]] = WeakSet()
"""Those that may not have counted yet what a test wrote."""
_set_up: Final[WeakSet[PGconn]] = WeakSet()
"""Those that the service sets up when it connects, with a search_path for example."""


@event.listens_for(Pool, "checkout")
def _check_out(_: object, record: ConnectionPoolEntry, fairy: PoolProxiedConnection) -> None:
    """Know who has a connection; have the pool replace one that was closed meanwhile."""
    if (pgconn := _pgconn_of(record)) is None:
        return
    if pgconn.status != ConnStatus.OK:
        raise DisconnectionError
    if in_service.get():
        _holders[pgconn] = Holder.SERVICE
    else:
        _holders[pgconn] = Holder.TEST
        _used_by_test.add(pgconn)
    listeners = fairy._pool.dispatch.connect  # noqa: SLF001
    if not all(listener.__module__.startswith("sqlalchemy.") for listener in listeners):
        _set_up.add(pgconn)


@event.listens_for(Pool, "checkin")
def _check_in(_: object, record: ConnectionPoolEntry) -> None:
    if (pgconn := _pgconn_of(record)) is not None:
        _holders[pgconn] = Holder.POOL


def _pgconn_of(record: ConnectionPoolEntry) -> PGconn | None:
    connection = record.driver_connection
    if isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        return connection.pgconn
    return None


def end_left_open(
    connection: psycopg.Connection,
    databases: Collection[str],
    *,
    ours: str,
    pooled: str,
    is_served: bool,
) -> list[str]:
    """Clean the sessions that stay on databases, and end those that somebody forgot to close.

    Those that come to an end within half a second are not forgotten.

    Args:
        connection: to the server.
        databases: their names.
        ours: the application_name of the run's own sessions, which are not looked at.
        pooled: the application_name of sessions of this process that may stay, idle, in a pool.
        is_served: the service has sessions too, in a process of its own. They may be idle, and
            are ended, since they cannot be cleaned from here.

    Returns:
        What each that was forgotten was doing, and who opened it.
    """
    deadline = time.monotonic() + GRACE_SECONDS
    for seconds in _pauses():
        may_stay = clean(databases, pooled)
        found = [s for s in _sessions(connection, databases, ours) if s.pid not in may_stay]
        if guard.in_progress[pooled]:
            found = [s for s in found if s.opener != pooled or s.state != "idle"]
        forgotten = [s for s in found if not (is_served and s.state == "idle")]
        if not forgotten or time.monotonic() > deadline:
            break
        time.sleep(seconds)
    ended = {session.pid for session in found}
    end(connection, ended)
    for opened in _open(databases, pooled):
        if opened.pgconn.backend_pid in ended:
            _used_by_test.discard(opened.pgconn)
    return [session.describe(pooled) for session in forgotten]


def end(connection: psycopg.Connection, pids: Iterable[int]) -> None:
    """End sessions, and wait until they are gone."""
    for pid in pids:
        connection.execute("SELECT pg_terminate_backend(%s, %s)", [pid, END_MILLISECONDS])


def busy_for_tests(labels: Collection[str]) -> list[int]:
    """List the sessions of this process that run a statement for a test: their pids."""
    return [
        opened.pgconn.backend_pid
        for opened in guard.opened()
        if opened.label in labels
        and opened.pgconn.transaction_status == TransactionStatus.ACTIVE
        and _holders.get(opened.pgconn, Holder.TEST) is Holder.TEST
    ]


def _pauses() -> Iterator[float]:
    """Wait for a millisecond at first, and then for longer and longer."""
    seconds = 0.001
    while True:
        yield seconds
        seconds = min(2 * seconds, 0.05)


def _sessions(
    connection: psycopg.Connection, databases: Collection[str], ours: str
) -> list[Session]:
    rows = connection.execute(
        "SELECT pid, state, application_name FROM pg_stat_activity"
        " WHERE datname = ANY(%s) AND backend_type = 'client backend'"
        " AND application_name IS DISTINCT FROM %s AND pg_has_role(usesysid, 'USAGE')",
        [list(databases), ours],
    )
    return [Session(*row) for row in rows]


def clean(databases: Collection[str], pooled: str) -> set[int]:
    """Clean what is in this process's pools, all at the same time.

    Returns:
        The pids of the sessions that may stay: those in pools, and the service's own.
    """
    sent, may_stay = [], set()
    for opened in _open(databases, pooled):
        pgconn, holder, idle = opened.pgconn, _holders.get(opened.pgconn), _is_idle(opened.pgconn)
        if holder is Holder.TEST or (holder is None and not opened.by_service):
            continue
        if idle and holder is Holder.POOL and pgconn in _set_up:
            pgconn.finish()
            continue
        may_stay.add(pgconn.backend_pid)
        if idle and holder is not Holder.CLEANED and not _has_input(pgconn):
            pgconn.send_query(CLEAN if holder is Holder.POOL else FLUSH)
            sent.append(pgconn)
    for pgconn in sent:
        pid = pgconn.backend_pid
        _receive(pgconn)
        if pgconn.status != ConnStatus.OK:
            may_stay.discard(pid)
        if _holders.get(pgconn) is Holder.POOL:
            _holders[pgconn] = Holder.CLEANED
        _used_by_test.discard(pgconn)
    return may_stay


def _has_input(pgconn: PGconn) -> bool:
    """Tell whether something has come that somebody waits for: a notification."""
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def have_counted(databases: Collection[str], pooled: str) -> bool:
    """Tell whether all connections that a test used have counted what it wrote.

    One that a task of the service uses now cannot be told to.
    """
    return not any(opened.pgconn in _used_by_test for opened in _open(databases, pooled))


def _receive(pgconn: PGconn) -> None:
    first, *others = waiting.wait(generators.execute(pgconn), pgconn.socket)
    has_failed = any(r.status == ExecStatus.FATAL_ERROR for r in (first, *others))
    # psycopg may hold notifications that nobody has asked for yet.
    if has_failed or first.get_value(0, 1) == b"t":
        pgconn.finish()


def close(databases: Collection[str], pooled: str) -> None:
    """Close what this process has in pools to databases that are about to go."""
    for opened in _open(databases, pooled):
        if _is_idle(opened.pgconn):  # else a thread may be using it; the server will end it
            opened.pgconn.finish()


def are_idle(databases: Collection[str], pooled: str) -> bool:
    """Tell whether no session that this process has in a pool is in a transaction."""
    return all(_is_idle(opened.pgconn) for opened in _open(databases, pooled))


def _is_idle(pgconn: PGconn) -> bool:
    """Tell whether a session is in no transaction."""
    return pgconn.transaction_status == TransactionStatus.IDLE


def _open(databases: Collection[str], label: str) -> list[Opened]:
    return [
        opened
        for opened in guard.opened()
        if opened.label == label
        and opened.pgconn.status == ConnStatus.OK
        and opened.pgconn.db.decode() in databases
    ]
