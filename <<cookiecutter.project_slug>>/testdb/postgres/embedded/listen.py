"""Have the embedded server listen on a TCP port, for tools that speak only TCP."""

import secrets
import socket as sockets
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg
from psycopg import sql

from testdb.identity.errors import ServerError
from testdb.postgres.embedded import server
from testdb.postgres.embedded.home import find_home


def listen(announce: Callable[[int, str], None]) -> None:
    """Have the server listen on a port of the loopback interface, until Ctrl-C or until it ends.

    PostgreSQL listens from its start or never: it is started anew, before and after. If we are
    killed, the supervisor ends it. Only the superuser gets in, by a password that is made here and
    ends with this.

    Args:
        announce: takes the port and the password once the server listens.

    Raises:
        ServerError: somebody uses the server now, it does not start, or it has ended.
    """
    home = find_home()
    with sockets.create_server((server.LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    with server.alone(home):
        server.stop()
    try:
        with server.use(port) as socket, closing(server.connect(socket)) as connection:
            _listen(connection, port, announce)
    except KeyboardInterrupt:
        with suppress(ServerError), server.alone(home):
            server.stop()
            server.start(home)  # for a person who keeps a database on it
        raise


def _listen(
    connection: psycopg.Connection, port: int, announce: Callable[[int, str], None]
) -> None:
    if connection.execute("SHOW port").fetchone() != (str(port),):
        msg = "Somebody else has just started the embedded server. Try again when that has ended."
        raise ServerError(msg)
    password = secrets.token_urlsafe()
    try:
        _set_password(connection, password)
        announce(port, password)
        for _ in connection.notifies():
            pass  # nobody notifies us: it waits until the connection is lost
    except psycopg.OperationalError:
        msg = "The embedded server has ended, and listens no more."
        raise ServerError(msg) from None
    finally:
        with suppress(psycopg.Error):
            _set_password(connection, None)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE client_addr IS NOT NULL"
            )


def _set_password(connection: psycopg.Connection, password: str | None) -> None:
    """Set the superuser's password; the server sees, and may log, only what verifies it."""
    user, verifier = server.SUPERUSER, None
    if password:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), user.encode(), b"scram-sha-256"
        ).decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier))
    )
