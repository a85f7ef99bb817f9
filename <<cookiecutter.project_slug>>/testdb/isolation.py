"""How a test is isolated from the others: rollback, reset or clone.

rollback   one connection, inside a transaction that is undone; commits become savepoints
reset      real commits over many connections; afterwards rows and sequences are put back
clone      databases of the test's own; it may change the schema, or hand them to a subprocess
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Final, Literal

import pytest

from testdb.errors import LifecycleError
from testdb.link import SERVICE
from testdb.ownership import Kind
from testdb.reset import Resetter
from testdb.runs import DatabaseSet, Run

GOODBYE_SECONDS: Final = 0.5
"""How long a session that was closed may still show itself: its backend says goodbye on its own."""
END_MS: Final = 5000
"""How long to wait for a session to end, in milliseconds."""


class Way(StrEnum):
    """The three ways. The README says what each allows and costs."""

    ROLLBACK = "rollback"
    RESET = "reset"
    CLONE = "clone"


@dataclass(frozen=True)
class Isolation:
    """How one test is isolated."""

    way: Way
    test: str
    keeps: Callable[[], bool]
    """Asked at the end: the test failed, and a person wants to look at its databases."""


class IsolationError(LifecycleError):
    """A test does what its isolation cannot bear. The message names the way that can."""


class Clones:
    """Databases that one test has for itself: made one ahead, and dropped behind its back.

    Both go over a connection of their own, in a thread: a clone takes 15 ms where files are made
    fast (tmpfs), and 250 ms where they are not.
    """

    def __init__(self, run: Run, worker: str) -> None:
        """Make none before one is wanted."""
        self._run = run
        self._worker = worker
        self._serial = count(1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clones")
        self._next: Future[DatabaseSet] | None = None
        self._dropped: list[tuple[DatabaseSet, Future[None]]] = []

    def take(self) -> DatabaseSet:
        """Have a set of databases, and see to it that the next one is ready sooner.

        Raises:
            LifecycleError: the server has gone.
        """
        wanted = self._next or self._thread.submit(self._make)
        self._next = self._thread.submit(self._make)
        return wanted.result()

    def give_back(self, databases: DatabaseSet) -> None:
        """Drop a set when there is time."""
        self._dropped.append((databases, self._thread.submit(self._run.drop, databases)))

    def close(self) -> None:
        """Drop whatever is left, and once more what could not be dropped before.

        Raises:
            RefusedError: it still cannot be dropped.
        """
        if self._next and not self._next.exception():  # else nobody missed it
            self.give_back(self._next.result())
        self._thread.shutdown()
        for databases, dropped in self._dropped:
            if dropped.exception():
                self._run.drop(databases)

    def _make(self) -> DatabaseSet:
        role = f"{self._worker}c{next(self._serial)}"
        return self._run.create(self._worker, Kind.CLONE, role=role)


class WorkerDatabases:
    """One worker's databases, used by its tests in turn. Each finds what the template holds."""

    def __init__(self, run: Run, worker: str) -> None:
        """Clone them.

        Raises:
            LifecycleError: the migrations fail.
        """
        self._run = run
        self._worker = worker
        self._keeping = count(1)
        self._second = run.second()
        self._clones = Clones(self._second, worker)
        self._clone()

    def _clone(self) -> None:
        self.databases = self._run.create(self._worker, Kind.WORKER)
        self._resetters = [Resetter(self._run.connect(n)) for n in self.databases.names.values()]
        self._sequences_moved = False

    def close(self) -> None:
        """Drop them, and the clones that tests had."""
        self._clones.close()
        self._run.take_over(self._second)
        self._drop()

    def _drop(self) -> None:
        self._close_connections()
        self._run.drop(self.databases)

    def _close_connections(self) -> None:
        for resetter in self._resetters:
            resetter.close()
        self.databases.dispose()

    @contextmanager
    def lend(self, isolation: Isolation) -> Iterator[DatabaseSet]:
        """Have databases for one test: the worker's, or clones of its own."""
        if isolation.way is Way.CLONE:
            lent = self._clones.take()
        else:
            lent = self.databases
            if isolation.way is Way.RESET and self._sequences_moved:
                self._put_back()
        yield lent
        left_open = self._end_sessions_left_open(lent)
        self._take_back(lent, isolation)
        if left_open:
            msg = f"{isolation.test} left sessions open, which were ended: {', '.join(left_open)}."
            raise IsolationError(msg)

    def _take_back(self, lent: DatabaseSet, isolation: Isolation) -> None:
        if isolation.way is Way.CLONE:
            lent.dispose()
            if isolation.keeps():
                self._run.keep(lent, isolation.test)
            else:
                self._clones.give_back(lent)
        elif isolation.keeps():
            self._keep(isolation.test)
        elif isolation.way is Way.RESET:
            self._put_back()
        else:
            self._sequences_moved = True

    def _end_sessions_left_open(self, lent: DatabaseSet) -> list[str]:
        """End sessions in a transaction, and strangers: idle ones of the service are its pool."""
        left = self._sessions_left_open(lent)
        deadline = time.monotonic() + GOODBYE_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(GOODBYE_SECONDS / 50)
            left = self._sessions_left_open(lent)
        for pid in left:
            self._run.connection.execute("SELECT pg_terminate_backend(%s, %s)", [pid, END_MS])
        return list(left.values())

    def _sessions_left_open(self, lent: DatabaseSet) -> dict[int, str]:
        rows = self._run.connection.execute(
            "SELECT pid, state, application_name FROM pg_stat_activity"
            " WHERE datname = ANY(%s) AND backend_type = 'client backend'"
            " AND application_name <> %s AND (state <> 'idle' OR application_name <> %s)",
            [[str(name) for name in lent.names.values()], self._run.label, SERVICE],
        )
        return {pid: f"{state} (opened by {opener})" for pid, state, opener in rows}

    def _put_back(self) -> None:
        """Reset the databases. Where that fails for one, clone them all anew."""
        self._sequences_moved = False
        failures = [resetter.reset() for resetter in self._resetters]
        if any(failures):
            self._drop()
            self._clone()

    def _keep(self, test: str) -> None:
        self._close_connections()
        self._run.keep(self.databases, test, role=f"{self._worker}k{next(self._keeping)}")
        self._clone()


def loop_scope(
    fixture_name: str,  # noqa: ARG001  pytest passes it
    config: pytest.Config,
) -> Literal["function", "session"]:
    """Give the scope of pytest-asyncio's event loops: what holds connections lives as long."""
    scope = config.getini("asyncio_default_fixture_loop_scope")
    return "session" if scope == "session" else "function"
