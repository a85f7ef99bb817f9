"""The guard: a connection to anything but a disposable database is refused before the first byte.

Importing testdb installs it, before anything of the service can be imported along with it. Every
connection of psycopg, sync or async, from any engine or pool, passes the function that it wraps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NoReturn

from psycopg import generators
from psycopg.abc import PQGenConn
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn

from testdb.identity.errors import RefusedError
from testdb.identity.names import parse


class Guard:
    """What this process may connect to now."""

    def __init__(self) -> None:
        """Let disposable databases pass."""
        self.label: str | None = None
        """Who connects, for application_name: the test that runs."""
        self.is_closed = False
        """Nothing passes: a unit test runs."""
        self.refusals: list[str] = []
        """What was refused: code that swallows the error does not get away with it."""
        self._maintaining: ContextVar[bool] = ContextVar("maintaining", default=False)

    @contextmanager
    def maintenance(self) -> Iterator[None]:
        """Let testdb itself reach the server's maintenance database."""
        token = self._maintaining.set(True)
        try:
            yield
        finally:
            self._maintaining.reset(token)

    def check(self, conninfo: str) -> str:
        """Let a connection pass, labelled with who opens it.

        Raises:
            RefusedError: the database is not disposable, or none may be reached now.
        """
        wanted = conninfo_to_dict(conninfo)
        database = str(wanted.get("dbname") or wanted.get("user") or "")
        if self.is_closed:
            self._refuse(
                f"{self.label} tried to connect to the database {database!r}. Unit tests reach no "
                "database: move the test to tests/integration."
            )
        if self._maintaining.get():
            return conninfo
        if parse(database) is None:
            self._refuse(
                f"A connection to the database {database!r} was refused: it is not disposable, so "
                "no test, example or task may reach it. Use the fixtures `session` or `databases`, "
                "and make engines from the app's settings, never at import."
            )
        return make_conninfo(conninfo, application_name=wanted.get("application_name", self.label))

    def _refuse(self, message: str) -> NoReturn:
        self.refusals.append(message)
        raise RefusedError(message)


guard: Final = Guard()
_connect: Final[Callable[[str], PQGenConn[PGconn]]] = generators.connect


def _guarded_connect(conninfo: str) -> PQGenConn[PGconn]:
    return _connect(guard.check(conninfo))


generators.connect = _guarded_connect
