"""Who is alive: a run holds an advisory lock, which PostgreSQL releases when the run dies.

Every process of a run holds the run's lock shared. Whoever gets it exclusively has proof that the
run is dead. Clocks, process ids and names of hosts play no part.
"""

import hashlib
from typing import LiteralString

import psycopg
from psycopg.rows import scalar_row

from testdb.errors import ServerError


def key_of(owner: str) -> int:
    """Give the key of the lock of a run id or of a template's name: a signed 64-bit integer."""
    digest = hashlib.blake2b(f"testdb:{owner}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def hold(connection: psycopg.Connection, owner: str) -> None:
    """Take the lock of a run shared, for as long as the connection lives.

    Raises:
        ServerError: a sweep holds proof that the run is dead.
    """
    if not _ask(connection, "SELECT pg_try_advisory_lock_shared(%s)", key_of(owner)):
        msg = (
            f"Run {owner} is being swept: its lease was lost and a sweep holds it. Start a new run."
        )
        raise ServerError(msg)


def try_exclusively(connection: psycopg.Connection, owner: str) -> bool:
    """Try to take the lock alone. True is proof that nobody of that run lives.

    The proof holds until the lock is released or the connection lost: drop over the same one.
    """
    return _ask(connection, "SELECT pg_try_advisory_lock(%s)", key_of(owner))


def release_exclusively(connection: psycopg.Connection, owner: str) -> None:
    """Let go of a lock that was taken exclusively."""
    _ask(connection, "SELECT pg_advisory_unlock(%s)", key_of(owner))


def held(connection: psycopg.Connection) -> set[int]:
    """List the keys that others hold, or that we share. Only `try_exclusively` is proof."""
    rows = connection.execute(
        # A 64-bit key is kept in two halves, with objsubid 1: see pg_locks in the manual.
        "SELECT classid, objid FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
        " AND NOT (pid = pg_backend_pid() AND mode = 'ExclusiveLock') AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return {int.from_bytes(high.to_bytes(4) + low.to_bytes(4), signed=True) for high, low in rows}


def _ask(connection: psycopg.Connection, query: LiteralString, key: int) -> bool:
    return bool(connection.cursor(row_factory=scalar_row).execute(query, [key]).fetchone())
