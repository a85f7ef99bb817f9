"""Use, start and stop the embedded server. __init__.py says what its lock files mean."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg

from testdb.identity.errors import ServerError
from testdb.identity.project import ROOT
from testdb.postgres.embedded.home import Home, account, find_home
from testdb.postgres.guard import MAINTENANCE, guard
from testdb.postgres.waiting import wait_until

SUPERUSER: Final = "postgres"
LOOPBACK: Final = "127.0.0.1"
PORT: Final = 5432
"""Only names the socket file: the server listens on no network address, unless `listen` asks."""
SUPERVISOR: Final = "testdb.postgres.embedded.supervisor"
CONNECT_SECONDS: Final = 10
ALONE_SECONDS: Final = 3.0
"""How long the supervisor may take to look for kept databases, or to shut the server down."""
PID_FILE: Final = "postmaster.pid"
"""In it are, in lines counted from 0, the port, the directory of the socket, and an address."""
PID_FILE_PORT: Final = 3
PID_FILE_SOCKET: Final = 4
PID_FILE_ADDRESS: Final = 5
"""Empty, unless the server listens on a TCP port."""


@contextmanager
def use(tcp_port: int | None = None) -> Iterator[Path]:
    """Use the embedded server, started if need be; yields the directory of its socket.

    The server stays up at least as long as this context, and ends soon after the last one.

    Args:
        tcp_port: where it listens besides, on 127.0.0.1, if this is what starts it. It then ends
            with its last user though somebody keeps a database on it.

    Raises:
        ServerError: it does not start; the message ends with its log.
    """
    home = find_home()
    with home.locked("users.lock", fcntl.LOCK_SH):
        yield find_socket(home) or start(home, tcp_port)


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Have nobody use the server: whoever comes waits until the context ends.

    Raises:
        ServerError: somebody uses it now.
    """
    lock = wait_until(lambda: home.try_lock("users.lock"), ALONE_SECONDS)
    if lock is None:
        msg = (
            "Nothing was changed: a run, a task or a service uses the embedded server "
            "now (`invoke db.list`). Try again when that has ended."
        )
        raise ServerError(msg)
    with lock:
        yield


def find_socket(home: Home) -> Path | None:
    """Find the socket of the server if it runs and answers."""
    try:
        lines = (home.data / PID_FILE).read_bytes().splitlines()
        socket = Path(os.fsdecode(lines[PID_FILE_SOCKET]))
        connect(socket).close()
    except (OSError, IndexError, psycopg.OperationalError):
        return None
    return socket


def find_tcp_port(home: Home) -> int | None:
    """Find the TCP port that the server listens on, if it runs and does."""
    with suppress(OSError, IndexError):
        lines = (home.data / PID_FILE).read_bytes().splitlines()
        if lines[PID_FILE_ADDRESS]:
            return int(lines[PID_FILE_PORT])
    return None


def connect(socket: Path) -> psycopg.Connection:
    """Connect to the maintenance database of the server behind a socket, as its superuser."""
    with guard.maintenance((str(socket), str(PORT))):
        return psycopg.connect(
            host=str(socket),
            port=PORT,
            user=SUPERUSER,
            dbname=MAINTENANCE,
            autocommit=True,
            client_encoding="UTF8",
            options="-c datestyle=ISO",  # whatever a test has set for the role
            connect_timeout=CONNECT_SECONDS,
        )


def start(home: Home, tcp_port: int | None = None) -> Path:
    """Start the server unless it runs; returns the directory of its socket. See `use`.

    Raises:
        ServerError: it does not start; the message ends with its log.
    """
    with home.locked("start.lock", fcntl.LOCK_EX):
        if socket := find_socket(home):
            return socket
        with home.open(home.log.name) as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", SUPERVISOR, *([str(tcp_port)] if tcp_port else [])],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        answer, _ = supervisor.communicate()
        if answer:
            return Path(os.fsdecode(answer))
        msg = f"The embedded PostgreSQL did not start. The end of {home.log}:\n{home.log_tail()}"
        raise ServerError(msg)


def stop() -> bool:
    """Have the supervisor shut the server down, whoever uses it. Tells whether there was one."""
    home = find_home()
    if not home.is_locked("server.lock"):
        return False
    if home.is_locked("supervisor.lock"):
        pid = int((home.path / "supervisor.lock").read_text())
        _signal(pid, signal.SIGTERM, uid=os.geteuid(), runs=SUPERVISOR)
    elif find_socket(home):  # the supervisor was killed, and only Linux ends the server with it
        pid = int((home.data / PID_FILE).read_text().split()[0])
        _signal(pid, signal.SIGINT, uid=account().uid, runs=str(home.data))
    with home.locked("server.lock", fcntl.LOCK_EX):
        return True


def _signal(pid: int, number: signal.Signals, *, uid: int, runs: str) -> None:
    """Signal a process whose id stands in a file, if it is what we take it for.

    Raises:
        ServerError: it is another one.
    """
    import psutil  # only whoever stops a server waits for it

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.uids().effective != uid or runs not in process.cmdline():
            msg = f"The process {pid} is not the server of this checkout, and was not stopped."
            raise ServerError(msg)
        process.send_signal(number)  # psutil knows it by its start time too
