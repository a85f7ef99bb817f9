"""Who is alive: a run holds an advisory lock, which PostgreSQL releases when the run dies.

Every process of a run holds the run's lock shared. Whoever gets it exclusively has proof that the
run is dead. Clocks, process ids and names of hosts play no part.
"""

import hashlib
import select
from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg.rows import scalar_row

from testdb.identity.errors import ServerError


class Lease:
    """The shared lock of a run, held by a connection for as long as the run lives."""

    def __init__(self, connect: Callable[[], psycopg.Connection], run: str) -> None:
        """Connect, and take the lock.

        Args:
            connect: opens a connection to the maintenance database, where everybody locks.
            run: its id.

        Raises:
            ServerError: the server is out of reach, or a sweep holds proof that the run is dead.
        """
        self._connect = connect
        self._run = run
        self.connection = self._hold()

    def _hold(self) -> psycopg.Connection:
        connection = self._connect()
        try:
            _take_shared(connection, self._run)
        except BaseException:
            connection.close()
            raise
        return connection

    def renew(self) -> bool:
        """Take the lock again if its connection was lost. Tells whether it was; costs 5 µs if not.

        Raises:
            ServerError: the server has gone, or a sweep came first.
        """
        if not self._is_lost():
            return False
        self.connection.close()
        self.connection = self._hold()
        return True

    def _is_lost(self) -> bool:
        if not self.connection.broken:
            poll = select.poll()  # unlike select(), it takes any file descriptor
            poll.register(self.connection, select.POLLIN)
            if not poll.poll(0):
                return False
        try:
            self.connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    def close(self) -> None:
        """Let go of the lock."""
        self.connection.close()


def key_of(owner: str) -> int:
    """Give the key of the lock of a run id or of a template's name: a signed 64-bit integer."""
    digest = hashlib.blake2b(f"testdb:{owner}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def try_exclusively(connection: psycopg.Connection, owner: str) -> bool:
    """Try to take the lock alone. True is proof that nobody of that run lives.

    The proof holds as long as the connection does: drop over the same one.
    """
    return _ask(connection, "SELECT pg_try_advisory_lock(%s)", key_of(owner))


def held(connection: psycopg.Connection) -> set[int]:
    """List all keys but those that we hold exclusively. It is no proof: `try_exclusively` is."""
    rows = connection.execute(
        # A 64-bit key is kept in two halves, with objsubid 1: see pg_locks in the manual.
        "SELECT classid, objid FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
        " AND NOT (pid = pg_backend_pid() AND mode = 'ExclusiveLock') AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return {int.from_bytes(high.to_bytes(4) + low.to_bytes(4), signed=True) for high, low in rows}


def _take_shared(connection: psycopg.Connection, run: str) -> None:
    if not _ask(connection, "SELECT pg_try_advisory_lock_shared(%s)", key_of(run)):
        msg = (
            f"Run {run} is being swept, dropped or migrated by somebody else. If it was yours, its "
            "lease was lost: start a new run."
        )
        raise ServerError(msg)


def _ask(connection: psycopg.Connection, query: LiteralString, key: int) -> bool:
    return bool(connection.cursor(row_factory=scalar_row).execute(query, [key]).fetchone())
