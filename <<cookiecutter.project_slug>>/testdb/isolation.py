"""How a test is isolated from the others: rollback, reset or clone.

rollback   one connection, inside a transaction that is undone; commits become savepoints
reset      real commits over many connections; afterwards rows and sequences are put back
clone      databases of the test's own; it may change the schema, or hand them to a subprocess
"""

from collections.abc import Callable, Iterator
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


class WorkerDatabases:
    """One worker's databases, used by its tests in turn. Each finds what the template holds."""

    def __init__(self, run: Run, worker: str) -> None:
        """Clone them.

        Raises:
            LifecycleError: the migrations fail.
        """
        self._run = run
        self._worker = worker
        self._serial = count(1)
        self._clone()

    def _clone(self) -> None:
        self.databases = self._run.create(self._worker, Kind.WORKER)
        self._resetters = [Resetter(self._run.connect(n)) for n in self.databases.names.values()]
        self._sequences_moved = False

    def close(self) -> None:
        """Drop them."""
        for resetter in self._resetters:
            resetter.close()
        self._run.drop(self.databases)

    @contextmanager
    def lend(self, isolation: Isolation) -> Iterator[DatabaseSet]:
        """Have databases for one test: the worker's, or clones of its own."""
        if isolation.way is Way.CLONE:
            lent = self._run.create(self._worker, Kind.CLONE, role=self._next_role())
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
        if isolation.way is Way.CLONE and not isolation.keeps():
            self._run.drop(lent)
        elif isolation.way is Way.CLONE:
            self._run.keep(lent, isolation.test)
        elif isolation.keeps():
            self._keep(isolation.test)
        elif isolation.way is Way.RESET:
            self._put_back()
        else:
            self._sequences_moved = True

    def _end_sessions_left_open(self, lent: DatabaseSet) -> list[str]:
        """End sessions in a transaction, and strangers: idle ones of the service are its pool."""
        rows = self._run.connection.execute(
            "SELECT application_name, state, pg_terminate_backend(pid, %s) FROM pg_stat_activity"
            " WHERE datname = ANY(%s) AND application_name <> %s"
            " AND (state <> 'idle' OR application_name <> %s)",
            [END_MS, [str(name) for name in lent.names.values()], self._run.label, SERVICE],
        )
        return [f"{state} (opened by {opener})" for opener, state, _ in rows]

    def _next_role(self) -> str:
        return f"{self._worker}x{next(self._serial)}"

    def _put_back(self) -> None:
        """Reset the databases. Where that fails for one, clone them all anew."""
        self._sequences_moved = False
        failures = [resetter.reset() for resetter in self._resetters]
        if any(failures):
            self.close()
            self._clone()

    def _keep(self, test: str) -> None:
        for resetter in self._resetters:
            resetter.close()
        self._run.keep(self.databases, test, role=self._next_role())
        self._clone()


def loop_scope(
    fixture_name: str,  # noqa: ARG001  pytest passes it
    config: pytest.Config,
) -> Literal["function", "session"]:
    """Give the scope of pytest-asyncio's event loops: what holds connections lives as long."""
    scope = config.getini("asyncio_default_fixture_loop_scope")
    return "session" if scope == "session" else "function"
