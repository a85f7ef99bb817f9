"""The guard: a connection to anything but a disposable database is refused before the first byte.

Importing testdb installs it, before anything of the service can be imported along with it. Every
connection of psycopg, sync or async, from any engine or pool, passes the functions that it wraps:
those that look up its host, and the one that opens it.
"""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from psycopg import connection, connection_async, generators, waiting
from psycopg.abc import ConnDict, ConnMapping, PQGenConn
from psycopg.conninfo import (
    conninfo_attempts,
    conninfo_attempts_async,
    conninfo_to_dict,
    make_conninfo,
)
from psycopg.pq import Conninfo
from psycopg.pq.abc import PGconn

from testdb.identity.errors import RefusedError, ServerError
from testdb.identity.names import parse
from testdb.postgres import environment

MAINTENANCE: Final = "postgres"
"""The one database that everybody takes advisory locks in: they hold within one database only."""
Address = tuple[str, str]
"""Of a server: its host, or the directory of its socket; and its port."""
NETWORK_TIMEOUTS: Final = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""A connection whose network is gone ends within a minute (seconds, and milliseconds): see tcp(7).

It also keeps firewalls from forgetting an idle connection, such as that of a lease.
"""


WATCH_SECONDS: Final = 1.0
in_service: Final[ContextVar[bool]] = ContextVar("in_service", default=False)
"""True where the service's lifespan runs in this process, and in the asyncio tasks that it begins.

Whoever uses a connection anywhere else is a test.
"""


class Opened(NamedTuple):
    """A connection of this process, and who opened it."""

    pgconn: PGconn
    label: str
    """The application_name that it began with."""
    by_service: bool


@dataclass
class _Deadline:
    """When connections are cut."""

    at: float
    was_missed: bool = False


class Guard:
    """What this process may connect to now."""

    def __init__(self) -> None:
        """Let nothing pass until the server is known."""
        self.server: Address | None = None
        """Where the disposable databases are."""
        self.label: str | None = None
        """Who connects, for application_name: the test that runs."""
        self.is_closed = False
        """Nothing passes: a unit test runs."""
        self._refusal: RefusedError | None = None
        self._maintained: ContextVar[Address | None] = ContextVar("maintained", default=None)
        self._is_exempt: ContextVar[bool] = ContextVar("is_exempt", default=False)
        self.in_progress: Counter[str] = Counter()
        """How many connections are being opened now, by their application_name."""
        self._opened: WeakKeyDictionary[PGconn, tuple[str, bool]] = WeakKeyDictionary()
        self._deadline: _Deadline | None = None
        self._watcher: threading.Thread | None = None

    @contextmanager
    def maintenance(self, server: Address) -> Iterator[None]:
        """Let testdb itself reach the maintenance database of a server."""
        token = self._maintained.set(server)
        try:
            yield
        finally:
            self._maintained.reset(token)

    def exempt_thread(self) -> None:
        """Let this thread connect while a unit test runs: it makes databases for later tests."""
        self._is_exempt.set(True)

    def check(self, conninfo: str) -> str:
        """Let a connection pass, labelled with who opens it.

        Where `conninfo` says nothing, the environment decides what libpq opens, so that is judged
        too. The result names host, port and database: libpq takes them from nowhere else.

        Raises:
            RefusedError: the database is not disposable, or none may be reached now.
        """
        given = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
        wanted = _defaults() | given
        server = (wanted["host"], wanted["port"])
        database = wanted.get("dbname") or wanted["user"]
        maintained = self._maintained.get()
        if self.is_closed and not self._is_exempt.get():
            self._refuse(
                f"{self.label} tried to connect to the database {database!r}. Unit tests reach no "
                "database: move the test to tests/integration."
            )
        is_ours = maintained is not None and database == MAINTENANCE
        if parse(database) is None and not is_ours:
            self._refuse(
                f"A connection to the database {database!r} was refused: it is not disposable, so "
                "no test, example or task may reach it. Use the fixtures `session` or `databases`, "
                "and make engines, in fixtures too, from the app's settings, never at import."
            )
        if server != (maintained or self.server):
            self._refuse(
                f"A connection to {database!r} was refused: {':'.join(server)} is not the server "
                "that testdb uses. Take URLs from the fixture `databases`, or from the app's "
                "settings, as they are."
            )
        if "replication" in given:
            self._refuse(
                f"A connection to {database!r} was refused: it asks for replication, and by that "
                "reaches every database of the server."
            )
        fixed = {"host": server[0], "port": server[1], "hostaddr": "", "dbname": database}
        label = {} if maintained or self.label is None else {"application_name": self.label}
        return make_conninfo("", **{**NETWORK_TIMEOUTS, **label, **given, **fixed})

    def _refuse(self, message: str) -> NoReturn:
        refusal = RefusedError(message)
        self._refusal = self._refusal or refusal
        raise refusal

    def take_refusal(self) -> RefusedError | None:
        """Get what was refused first since the last call, even if the code swallowed the error."""
        refusal, self._refusal = self._refusal, None
        return refusal

    @contextmanager
    def connecting(self, conninfo: str) -> Iterator[Callable[[PGconn], None]]:
        """Have a connection and who opens it remembered, so that it can be cleaned or cut."""
        label = str(conninfo_to_dict(conninfo).get("application_name", ""))
        self.in_progress[label] += 1
        try:
            yield lambda opened: self._opened.update({opened: (label, in_service.get())})
        finally:
            self.in_progress[label] -= 1

    def opened(self) -> list[Opened]:
        """List the connections of this process."""
        return [Opened(pgconn, *by) for pgconn, by in list(self._opened.items())]

    @contextmanager
    def cutting_after(self, seconds: float) -> Iterator[None]:
        """Cut all connections of this process if the context lasts longer.

        Whoever waits for a server that a silent network has swallowed gets an error then.

        Raises:
            ServerError: they were cut; instead of any error that came of it.
        """
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="testdb", daemon=True)
            self._watcher.start()
        own = self._deadline = _Deadline(time.monotonic() + seconds)
        try:
            yield
        except Exception:
            if not own.was_missed:
                raise
        finally:
            self._deadline = None
        if own.was_missed:
            msg = (
                f"The server did not answer within {seconds:g} s; its connections were cut. "
                "Is the network to it up?"
            )
            raise ServerError(msg)

    def _watch(self) -> None:
        # One thread for all deadlines: to start one for each test takes 0.1 ms and more.
        while True:
            time.sleep(WATCH_SECONDS)
            deadline = self._deadline
            if deadline and not deadline.was_missed and time.monotonic() > deadline.at:
                deadline.was_missed = True
                self._cut()

    def _cut(self) -> None:
        for opened in list(self._opened):
            # A copy of the descriptor: libpq finds the connection lost, and closes its own.
            with suppress(Exception), socket.socket(fileno=os.dup(opened.socket)) as copy:
                copy.shutdown(socket.SHUT_RDWR)


def _defaults() -> dict[str, str]:
    """Ask libpq what it takes where a connection says nothing: of the environment, or built in."""
    found = {option.keyword.decode(): option.val for option in Conninfo.get_defaults()}
    return {key: (found.get(key) or b"").decode() for key in ("host", "port", "dbname", "user")}


guard: Final = Guard()
_connect: Final[Callable[..., PQGenConn[PGconn]]] = generators.connect
_wait: Final = waiting.wait_conn
_wait_async: Final = waiting.wait_conn_async


def _guarded_connect(conninfo: str, *arguments: Any, **options: Any) -> PQGenConn[PGconn]:  # noqa: ANN401  whatever this version of psycopg passes
    checked = guard.check(conninfo)
    connecting = _connect(checked, *arguments, **options)
    with guard.connecting(checked) as remember, closing(connecting):
        ready: Any = None  # what starts a generator
        try:
            while True:
                with environment.unchanged:
                    wanted = connecting.send(ready)
                ready = yield wanted
        except StopIteration as end:
            opened: PGconn = end.value
        remember(opened)
    return opened


def _wait_and_close(connecting: PQGenConn[Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
    # Closes what is given up in the middle of its login. It would stay open while somebody keeps
    # the error, and until it is closed, or authentication_timeout has passed, the server drops no
    # database.
    try:
        return _wait(connecting, *arguments, **options)
    finally:
        connecting.close()


async def _wait_and_close_async(connecting: PQGenConn[Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
    try:
        return await _wait_async(connecting, *arguments, **options)
    finally:
        connecting.close()


def _guarded_attempts(params: ConnMapping) -> list[ConnDict]:
    guard.check(make_conninfo("", **params))
    return conninfo_attempts(params)


async def _guarded_attempts_async(params: ConnMapping) -> list[ConnDict]:
    guard.check(make_conninfo("", **params))
    return await conninfo_attempts_async(params)


generators.connect = _guarded_connect
vars(waiting)["wait_conn"] = _wait_and_close
vars(waiting)["wait_conn_async"] = _wait_and_close_async
# psycopg looks up the host first. Refused before that, an unknown host does not hide the reason.
vars(connection)["conninfo_attempts"] = _guarded_attempts
vars(connection_async)["conninfo_attempts_async"] = _guarded_attempts_async
