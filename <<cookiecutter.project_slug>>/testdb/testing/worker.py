"""The databases of one worker: its tests use them in turn, or have clones of their own."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

from testdb.adapter import SERVICE
from testdb.identity.disposable import Kind
from testdb.identity.errors import RefusedError
from testdb.postgres import catalog, databases
from testdb.postgres.reset import Resetter
from testdb.runs import environment
from testdb.runs.run import DatabaseSet, Run
from testdb.testing.isolation import Isolation, IsolationError, IsolationMode
from testdb.testing.sessions import Engines

DISCONNECT_GRACE_SECONDS: Final = 0.5
"""How long a closed session may still show on the server: its backend ends by itself."""


class ClonePool:
    """Databases that one test has for itself: the next set is made ahead, a used one dropped later.

    A thread does both over a lease of its own: a clone takes 15 ms where files are made fast
    (tmpfs), and 250 ms where they are not.
    """

    def __init__(self, run: Run, worker: str) -> None:
        """Make none before one is wanted."""
        self._run = run
        self._worker = worker
        self._lease = run.new_lease()
        self._serial = count(1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clones")
        self._ahead: deque[Future[DatabaseSet]] = deque()
        self._released: list[tuple[DatabaseSet, Future[None]]] = []

    def acquire(self) -> DatabaseSet:
        """Have a set of databases, and start to make the next one.

        Raises:
            LifecycleError: the server has gone.
        """
        while len(self._ahead) < 2:  # noqa: PLR2004  this one and the next
            self._ahead.append(self._thread.submit(self._make))
        futures.wait([self._ahead[0]])  # what interrupts this leaves the set for the next test
        return self._ahead.popleft().result()

    def release(self, clones: DatabaseSet) -> None:
        """Drop a set when there is time."""
        self._released.append((clones, self._thread.submit(self._drop, clones)))

    def close(self) -> None:
        """Drop whatever is left, and try once more what could not be dropped before.

        What still cannot be dropped, the audit of the run names.
        """
        for made in self._ahead:
            if not made.exception():  # a set that failed was dropped by create
                self.release(made.result())
        self._thread.shutdown()
        try:
            for clones, dropped in self._released:
                if dropped.exception():
                    with suppress(RefusedError):
                        self._run.drop(clones)
        finally:
            self._lease.close()

    def _make(self) -> DatabaseSet:
        self._lease.renew()
        role = f"{self._worker}c{next(self._serial)}"
        over = self._lease.connection
        return self._run.create(self._worker, Kind.CLONE, role=role, connection=over)

    def _drop(self, clones: DatabaseSet) -> None:
        self._lease.renew()
        self._run.drop(clones, self._lease.connection)


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
        self._clones = ClonePool(run, worker)
        self.engines = Engines()
        """For code that is not async."""
        self._clone()

    def _clone(self) -> None:
        self.databases = self._run.create(self._worker, Kind.WORKER)
        self._resetters = [
            Resetter(self._run.server.connect(self._run.label, str(name)))
            for name in self.databases.names.values()
        ]
        self._is_dirty = self._sequences_moved = False

    def close(self) -> None:
        """Drop them, and the clones that tests had; what cannot be dropped, the audit names."""
        try:
            self._clones.close()
        finally:
            with suppress(RefusedError):
                self._drop()

    def _drop(self) -> None:
        self._close_connections()
        self._run.drop(self.databases)

    def _close_connections(self) -> None:
        for resetter in self._resetters:
            resetter.close()
        self.engines.dispose(self.databases)

    @contextmanager
    def acquire(self, isolation: Isolation) -> Iterator[DatabaseSet]:
        """Have databases for one test: the worker's, or clones of its own.

        Raises:
            IsolationError: the test left sessions open.
        """
        if isolation.mode is IsolationMode.CLONE:
            acquired = self._clones.acquire()
        else:
            if self._is_dirty or (isolation.mode is IsolationMode.RESET and self._sequences_moved):
                self._reset()
            acquired = self.databases
            self._is_dirty = isolation.mode is IsolationMode.RESET
        # None under rollback: another process does not see the test's rows, and its own would stay.
        urls = None if isolation.mode is IsolationMode.ROLLBACK else acquired.urls
        with environment.pointing_to(urls):
            yield acquired
        left_open = self._end_sessions_left_open(acquired)
        self._release(acquired, isolation)
        if left_open:
            msg = f"{isolation.test} left sessions open, which were ended: {', '.join(left_open)}."
            raise IsolationError(msg)

    def _release(self, acquired: DatabaseSet, isolation: Isolation) -> None:
        if isolation.mode is IsolationMode.CLONE:
            self.engines.dispose(acquired)
            if isolation.should_keep():
                self._run.keep(acquired, isolation.test)
            else:
                self._clones.release(acquired)
        elif isolation.should_keep():
            self._keep(isolation.test)
        elif isolation.mode is IsolationMode.RESET:
            self._reset()
        else:
            self._sequences_moved = True

    def _end_sessions_left_open(self, acquired: DatabaseSet) -> list[str]:
        """End what a test left open: any session in a transaction, and idle ones of no pool."""
        left = self._sessions_left_open(acquired)
        deadline = time.monotonic() + DISCONNECT_GRACE_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(DISCONNECT_GRACE_SECONDS / 50)
            left = self._sessions_left_open(acquired)
        for pid in left:
            databases.end_session(self._run.connection, pid)
        return list(left.values())

    def _sessions_left_open(self, acquired: DatabaseSet) -> dict[int, str]:
        return catalog.sessions_left_open(
            self._run.connection, acquired.names.values(), ours=self._run.label, pooled=SERVICE
        )

    def _reset(self) -> None:
        """Reset the databases. Where that fails for one, clone them all anew."""
        failures = [resetter.reset() for resetter in self._resetters]
        if any(failures):
            self._drop()
            self._clone()
        self._is_dirty = self._sequences_moved = False

    def _keep(self, test: str) -> None:
        self._close_connections()
        self._run.keep(self.databases, test, role=f"{self._worker}k{next(self._keeping)}")
        self._clone()
