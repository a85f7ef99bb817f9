"""Which server: the external one that TESTDB_SERVER_URL names, else the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import URL

from testdb.identity.errors import ServerError
from testdb.postgres import environment, server_url
from testdb.postgres.embedded import server as embedded
from testdb.postgres.environment import SERVER_URL_VARIABLE
from testdb.postgres.guard import MAINTENANCE, Address, guard

CONNECT_SECONDS: Final = 10
CANCEL_SECONDS: Final = 5.0
OLDEST_VERSION: Final = 150000
"""As libpq spells 15.0, the first where a session can be told to add to the counters at once."""
TIMEOUTS: Final = [
    "statement_timeout",
    "lock_timeout",
    "idle_session_timeout",
    "transaction_timeout",
]
"""Set to 0 on our connections: each could end a lease, or a wait for a lock."""


class Connection(psycopg.Connection):
    """A connection that can be used again whatever interrupts it: a test's timeout, SIGTERM."""

    def wait(self, gen: PQGen[Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  as psycopg has it
        """Wait for an answer. When interrupted, end the command; psycopg does so for Ctrl-C."""
        try:
            return super().wait(gen, *arguments, **options)
        except BaseException:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=CANCEL_SECONDS)
                    super().wait(gen, *arguments, **options)
            raise


@dataclass(frozen=True)
class Server:
    """A PostgreSQL cluster that takes disposable databases. Its URL never holds a password."""

    kind: Literal["embedded", "external"]
    url: URL

    @property
    def clone_strategy(self) -> LiteralString | None:
        """How CREATE DATABASE clones best here; None is the server's own default.

        Copying files takes 19 ms where the default takes 29 (30 tables, in memory, no fsync). With
        durability on a disk it takes 135 ms instead of 83, and forces a checkpoint on all users.
        """
        return "FILE_COPY" if self.kind == "embedded" else None

    @property
    def clone_settings(self) -> tuple[str, ...]:
        """What a clone sets for its sessions: no commit waits for a disk, as nothing need last."""
        return ("synchronous_commit=off",) if self.kind == "external" else ()

    @property
    def address(self) -> Address:
        """Where it listens: its host, or the directory of its socket; and its port."""
        return server_url.address_of(self.url)

    def url_of(self, database: str) -> URL:
        """Make the URL of one of its databases."""
        return self.url.set(database=database)

    def connect(
        self, application_name: str = "testdb", database: str = MAINTENANCE
    ) -> psycopg.Connection:
        """Connect to the maintenance database or another, in autocommit mode, without timeouts.

        Raises:
            RefusedError: it is neither the maintenance database nor disposable.
            ServerError: the server is out of reach, refuses us, is behind a pooler, or opens
                another database.
        """
        url = self.url_of(database)
        try:
            with guard.maintenance(self.address):
                connection = Connection.connect(
                    autocommit=True,
                    **{
                        "connect_timeout": CONNECT_SECONDS,
                        **url.translate_connect_args(database="dbname", username="user"),
                        **url.query,
                        "client_encoding": "UTF8",
                        "application_name": application_name,
                    },
                )
            pid, opened, *_ = connection.execute(
                "SELECT pg_backend_pid(), current_database(),"
                " set_config('datestyle', 'ISO', false), ARRAY("
                " SELECT set_config(name, '0', false) FROM unnest(%s::text[]) name"
                " WHERE current_setting(name, true) <> '0')",  # no version has them all
                [TIMEOUTS],
            ).fetchall()[0]
        except psycopg.Error as error:
            raise ServerError(self._out_of_reach(str(error))) from None
        # A pooler announces a process id of its own, a server the backend's.
        if (pid, opened) != (connection.info.backend_pid, database):
            connection.close()
            reason = (
                "a connection pooler (such as pgbouncer) is in front of it, and advisory locks do "
                f"not hold through that (asked for {database}, it opened {opened}). Name the "
                "server itself."
            )
            raise ServerError(self._out_of_reach(reason))
        return connection

    def check_privileges(self, connection: psycopg.Connection) -> None:
        """Make sure that databases can be created here.

        Raises:
            ServerError: the server is too old, or a standby; or the role acts as another, is
                read-only, or lacks CREATEDB.
        """
        if connection.info.server_version < OLDEST_VERSION:
            reason = f"it is older than PostgreSQL {OLDEST_VERSION // 10000}."
            raise ServerError(self._out_of_reach(reason))
        role = connection.info.user
        is_standby, is_read_only, acts_as, may_create = connection.execute(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool,"
            " nullif(current_user, session_user), rolcreatedb OR rolsuper"
            " FROM pg_roles WHERE rolname = session_user"
        ).fetchall()[0]
        if is_standby:
            problem, cure = "is of a standby, which only reads", "name the primary server"
        elif is_read_only:
            problem = "is read-only"
            cure = "RESET default_transaction_read_only, of the role, the database or the server"
        elif acts_as:
            problem = f"acts as {acts_as} from the start, and could not drop what it makes"
            cure = f'run: ALTER ROLE "{role}" RESET role'
        elif not may_create:
            problem, cure = "may not create databases", f'run: ALTER ROLE "{role}" CREATEDB'
        else:
            return
        msg = (
            f"The role {role} of {SERVER_URL_VARIABLE} ({self.url}) {problem}. "
            f"Have an administrator {cure}"
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
        settings = ", ".join(setting.replace("=", " ") for setting in self.clone_settings)
        ours = f"; {settings} in disposable databases" if settings else ""
        return f"PostgreSQL {version}, {self.kind}; {durability}{ours}"

    def _out_of_reach(self, reason: str) -> str:
        if not reason.endswith((".", "?")):
            reason += "."  # libpq ends some so, and others not
        if self.kind == "embedded":
            return f"The embedded PostgreSQL went away: {reason} The next run starts it anew."
        return (
            f"The server of {SERVER_URL_VARIABLE} ({self.url}) cannot be used: {reason} "
            f"Correct the URL, start the server, or unset {SERVER_URL_VARIABLE} to use the "
            "embedded one."
        )


@contextmanager
def open_server() -> Iterator[Server]:
    """Use the server: the external one if TESTDB_SERVER_URL is set, else the embedded one.

    The embedded server is started if need be, and stays up at least as long as this context.

    Raises:
        ServerError: there is no server that can be used.
    """
    environment.restrict()
    server_url.hide_password()
    if configured := os.environ.get(SERVER_URL_VARIABLE):
        server = Server("external", server_url.read(configured))
        guard.server = server.address
        yield server
        return
    with embedded.use() as socket:
        url = URL.create(
            server_url.DRIVER,
            username=embedded.SUPERUSER,
            port=embedded.PORT,
            database=MAINTENANCE,
            query={"host": str(socket)},
        )
        server = Server("embedded", url)
        guard.server = server.address
        yield server
