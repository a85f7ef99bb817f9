"""What needs the embedded server for itself: to purge it, and to have it listen on a port."""

import fcntl
import secrets
import shutil
import socket as sockets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg
from psycopg import sql

from testdb.identity.errors import RefusedError, ServerError
from testdb.postgres.embedded import server
from testdb.postgres.embedded.home import Home, find_home

WAIT_SECONDS: Final = 3.0
"""How long the supervisor may take to look for kept databases, or to shut the server down."""
POLL_SECONDS: Final = 0.02


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Have nobody use the server: whoever comes waits until the context ends.

    Raises:
        ServerError: somebody uses it now.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    with home.open("users.lock") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    msg = (
                        "Nothing was changed: a run, a task or a service uses the embedded server "
                        "now (`invoke db.list`). Try again when that has ended."
                    )
                    raise ServerError(msg) from None
                time.sleep(POLL_SECONDS)
            else:
                break
        yield


def purge(*, force: bool = False) -> int:
    """Stop the server and delete its data and programs; returns how many bytes were freed.

    Args:
        force: also if somebody keeps a database on it, or it does not start any more.

    Raises:
        RefusedError: somebody keeps a database on it.
        ServerError: somebody uses it now, or it does not start to be looked at.
    """
    home = find_home()
    with _alone(home):
        if home.data.exists() and not force:
            _refuse_if_kept(home)
        server.stop()
        before = home.size_bytes()
        rubbish = home.path / "rubbish"
        shutil.rmtree(rubbish, ignore_errors=True)
        rubbish.mkdir()
        for path in home.path.iterdir():
            # Whoever waits for a lock has its file open: that must stay the right one.
            if path != rubbish and path.suffix != ".lock":
                path.rename(rubbish / path.name)  # whole, if we are killed
        shutil.rmtree(rubbish)
        return before - home.size_bytes()


def _refuse_if_kept(home: Home) -> None:
    from testdb.postgres import catalog

    with server.connect(server.find_socket(home) or server.start(home)) as connection:
        kept = [entry.name for entry in catalog.read(connection).entries if entry.is_kept]
    if kept:
        msg = (
            f"Nothing was purged: there are databases that somebody keeps, {', '.join(kept)}. "
            "Drop them (`invoke db.drop`), or give --force."
        )
        raise RefusedError(msg)


def listen(announce: Callable[[int, str], None]) -> None:
    """Have the server listen on a port of the loopback interface, until Ctrl-C or until it ends.

    PostgreSQL listens from its start or never: it is started anew, before and after. Only the
    superuser gets in, by a password that is made here and ends with this.

    Args:
        announce: takes the port and the password once the server listens.

    Raises:
        ServerError: somebody uses the server now, it does not start, or it has ended.
    """
    home = find_home()
    with sockets.create_server((server.LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    with _alone(home):
        server.stop()
    try:
        with server.use(port) as socket, closing(server.connect(socket)) as connection:
            _listen(connection, port, announce)
    finally:
        with suppress(ServerError), _alone(home):
            if server.stop():
                server.start(home)


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
