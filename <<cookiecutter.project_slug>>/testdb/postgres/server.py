"""Which server: the external one that TESTDB_SERVER_URL names, else the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, LiteralString

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from testdb.identity.errors import ServerError
from testdb.postgres.embedded import server as embedded
from testdb.postgres.guard import guard

SERVER_URL_VARIABLE: Final = "TESTDB_SERVER_URL"
DRIVER: Final = "postgresql+psycopg"
MAINTENANCE: Final = "postgres"
"""The one database that everybody takes advisory locks in: they hold within one database only."""
CONNECT_SECONDS: Final = 10
KEEPALIVE_SECONDS: Final = 30
"""TCP keepalive, so that no firewall forgets the connection of a lease, which is idle for long."""
TIMEOUTS: Final = [
    "statement_timeout",
    "lock_timeout",
    "idle_session_timeout",
    "transaction_timeout",
]
"""Set to 0 on our connections: each could end a lease, or a wait for a lock."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL cluster that takes disposable databases. Its URL prints without the password."""

    kind: Literal["embedded", "external"]
    url: URL

    @property
    def clone_strategy(self) -> LiteralString | None:
        """How CREATE DATABASE clones best here; None is the server's own default.

        Copying files takes 19 ms where the default takes 29 (30 tables, in memory, no fsync). With
        durability on a disk it takes 135 ms instead of 83, and forces a checkpoint on all users.
        """
        return "FILE_COPY" if self.kind == "embedded" else None

    def url_of(self, database: str) -> URL:
        """Make the URL of one of its databases."""
        return self.url.set(database=database)

    def connect(
        self, application_name: str = "testdb", database: str = MAINTENANCE
    ) -> psycopg.Connection:
        """Connect to the maintenance database or another, in autocommit mode, without timeouts.

        Raises:
            ServerError: the server is out of reach, refuses us, or is behind a pooler.
        """
        url = self.url_of(database)
        try:
            with guard.maintenance():
                connection = psycopg.connect(
                    autocommit=True,
                    **{
                        "connect_timeout": CONNECT_SECONDS,
                        "keepalives_idle": KEEPALIVE_SECONDS,
                        **url.translate_connect_args(database="dbname", username="user"),
                        **url.query,
                        "application_name": application_name,
                    },
                )
            pid, _ = connection.execute(
                "SELECT pg_backend_pid(), ARRAY("
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s))",
                [TIMEOUTS],
            ).fetchall()[0]
        except psycopg.Error as error:
            reason = str(error)
        else:
            # A pooler announces a process id of its own, a server the backend's.
            if pid == connection.info.backend_pid:
                return connection
            connection.close()
            reason = (
                "a connection pooler (such as pgbouncer) is in front of it, and advisory locks do "
                "not hold through that. Name the server itself."
            )
        # Outside of the handler, so that no traceback shows frames with the password.
        raise ServerError(self._out_of_reach(reason))

    def check_privileges(self, connection: psycopg.Connection) -> None:
        """Make sure that databases can be created here.

        Raises:
            ServerError: the role lacks CREATEDB.
        """
        (may_create,) = connection.execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchall()[0]
        if not may_create:
            role = connection.info.user
            msg = (
                f"The role {role} of {SERVER_URL_VARIABLE} ({self.url}) may not create databases. "
                f'Have an administrator run: ALTER ROLE "{role}" CREATEDB'
            )
            raise ServerError(msg)

    def check_connection_limit(self, connection: psycopg.Connection, needed: int) -> None:
        """Make sure that so many more connections are free, for the server and for our role.

        Raises:
            ServerError: they are not.
        """
        (free,) = connection.execute(
            "SELECT least("
            "  (SELECT sum(setting::int * CASE name WHEN 'max_connections' THEN 1 ELSE -1 END)"
            "     FROM pg_settings WHERE name IN ('max_connections', 'reserved_connections',"
            "                                     'superuser_reserved_connections'))"
            "  - (SELECT sum(numbackends) FROM pg_stat_database),"
            "  CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit"
            "  - (SELECT count(*) FROM pg_stat_activity WHERE usename = rolname) END)"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchall()[0]
        if free < needed:
            msg = (
                f"This run may need {needed} more connections to {self.url}, and {max(free, 0)} "
                "are free. Use fewer workers (-n), wait until others have ended, or raise the "
                "server's max_connections or the role's CONNECTION LIMIT."
            )
            raise ServerError(msg)

    def describe(self, connection: psycopg.Connection) -> str:
        """Describe the server for people: version, kind, durability."""
        version = connection.info.parameter_status("server_version")
        durability = connection.execute(
            "SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_settings"
            " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
        ).fetchall()[0][0]
        return f"PostgreSQL {version}, {self.kind}; {durability}"

    def _out_of_reach(self, reason: str) -> str:
        if self.kind == "embedded":
            return f"The embedded PostgreSQL went away: {reason} The next run starts it anew."
        return (
            f"The server of {SERVER_URL_VARIABLE} ({self.url}) cannot be used: {reason} "
            f"Correct the URL, start the server, or unset {SERVER_URL_VARIABLE} to use the "
            "embedded one."
        )


def is_in_transaction(driver_connection: object) -> bool:
    """Tell whether a connection of psycopg is in a transaction that no error has ended."""
    return (
        isinstance(driver_connection, psycopg.AsyncConnection | psycopg.Connection)
        and driver_connection.info.transaction_status is TransactionStatus.INTRANS
    )


@contextmanager
def open_server() -> Iterator[Server]:
    """Use the server: the external one if TESTDB_SERVER_URL is set, else the embedded one.

    The embedded server is started if need be, and stays up at least as long as this context.

    Raises:
        ServerError: there is no server that can be used.
    """
    configured = os.environ.get(SERVER_URL_VARIABLE)
    if configured:
        yield _external(configured)
        return
    with embedded.use() as socket:
        yield Server(
            "embedded",
            URL.create(
                DRIVER,
                username=embedded.SUPERUSER,
                port=embedded.PORT,
                database=MAINTENANCE,
                query={"host": str(socket)},
            ),
        )


def _external(configured: str) -> Server:
    try:
        url = make_url(configured)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        backend = None
    if backend != "postgresql":
        msg = (
            f"{SERVER_URL_VARIABLE} is not the SQLAlchemy URL of a PostgreSQL server. Write it as "
            "postgresql://user:password@host:5432, with %-escapes in the password."
        )
        raise ServerError(msg)
    return Server("external", url.set(drivername=DRIVER, database=MAINTENANCE))
