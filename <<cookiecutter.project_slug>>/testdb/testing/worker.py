"""The databases of one worker: its tests use one set in turn, or have a set to themselves.

When a test ends, a thread puts its set back, or makes it anew, while pytest reports the test and
sets up the next one. Whoever needs the set waits for that.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

from sqlalchemy import URL, Engine, create_engine

from testdb.adapter import SERVICE
from testdb.identity.disposable import Kind
from testdb.identity.errors import RefusedError
from testdb.postgres import sessions
from testdb.postgres.guard import guard
from testdb.postgres.reset import Resetter
from testdb.runs import environment
from testdb.runs.run import DatabaseSet, Run
from testdb.testing.isolation import Isolation, IsolationError, IsolationMode

WAIT_SECONDS: Final = 60.0
"""How long a test waits for its databases, before the connections to a silent server are cut."""
CLONES: Final = 2
"""Sets for tests that want their own: one is used while the other is put back."""


class Resettable:
    """A set of databases, and what puts each of them back."""

    def __init__(self, run: Run, databases: DatabaseSet) -> None:
        """Prepare the reset of fresh databases."""
        self.databases = databases
        self.names = [str(name) for name in databases.names.values()]
        self._run = run
        self._resetters = [Resetter(run.server.connect(run.label, name)) for name in self.names]

    def reset(self) -> bool:
        """Put them back. False if that fails for one of them; the audit will say why."""
        reasons = [reason for resetter in self._resetters if (reason := resetter.reset())]
        self._run.cloned_anew += reasons
        return not reasons

    def close(self) -> None:
        """Close what this process has open to them and does not use."""
        for resetter in self._resetters:
            resetter.close()
        sessions.close(self.names, SERVICE)


class WorkerDatabases:
    """One worker's databases. Each test finds in them what the template holds."""

    def __init__(
        self, run: Run, worker: str, *, role: str | None = None, is_served: bool = False
    ) -> None:
        """Clone them.

        Args:
            run: whose they are.
            worker: who uses them.
            role: stands in their names instead, where one worker has several sets.
            is_served: the service uses them from a process of its own.

        Raises:
            LifecycleError: the migrations fail.
        """
        self._run = run
        self._worker = worker
        self._role = role or worker
        self._is_served = is_served
        self._serial = count(1)
        self._lease = run.new_lease()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="testdb")
        self._clones: deque[Future[Resettable]] = deque()
        self._shared = self._thread.submit(self._make_shared)
        self._is_in_use = False
        self.engines = Engines()
        """For code that is not async."""
        self.databases = self._shared.result().databases
        """What tests use in turn."""

    def close(self) -> None:
        """Drop them, and the clones that tests had; what cannot be dropped, the audit names."""
        self._thread.shutdown()
        try:
            for made in (self._shared, *self._clones):
                if not made.exception():  # a set that failed was dropped by create
                    with suppress(RefusedError):
                        self._drop(made.result())
        finally:
            self._lease.close()

    @contextmanager
    def acquire(self, isolation: Isolation) -> Iterator[DatabaseSet]:
        """Have databases for one test: those that tests use in turn, or clones of its own.

        Raises:
            IsolationError: the test left sessions open.
        """
        is_clone = isolation.mode is IsolationMode.CLONE
        used = self._take_clone() if is_clone else self._take_shared()
        with environment.pointing_to(used.databases.urls):
            yield used.databases
        left_open = sessions.end_left_open(
            self._run.connection,
            used.names,
            ours=self._run.label,
            pooled=SERVICE,
            is_served=self._is_served,
        )
        make = self._make_clone if is_clone else self._make_shared
        if isolation.should_keep():
            self._keep(used, isolation)
            released = self._thread.submit(make)
        else:
            released = self._thread.submit(self._restore, used, make)
        if is_clone:
            self._clones.append(released)
        else:
            self._shared, self._is_in_use = released, False
        if left_open:
            msg = f"{isolation.test} left sessions open, which were ended: {', '.join(left_open)}."
            raise IsolationError(msg)

    def _take_shared(self) -> Resettable:
        if self._is_in_use:  # the end of a test was interrupted
            used = self._shared.result()
            self._shared = self._thread.submit(self._restore, used, self._make_shared)
            self._is_in_use = False
        _wait_for(self._shared)
        taken = self._shared
        if taken.exception():
            self._shared = self._thread.submit(self._make_shared)
        else:
            self._is_in_use = True
        return taken.result()

    def _take_clone(self) -> Resettable:
        while len(self._clones) < CLONES:
            self._clones.append(self._thread.submit(self._make_clone))
        _wait_for(self._clones[0])  # what interrupts this leaves the set for the next test
        return self._clones.popleft().result()

    async def become_idle(self, databases: DatabaseSet) -> None:
        """Let the service's own tasks end the transactions that they are in, for a moment."""
        names = [str(name) for name in databases.names.values()]
        deadline = time.monotonic() + sessions.GRACE_SECONDS
        while not sessions.are_idle(names, SERVICE):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.001)

    def _make_shared(self) -> Resettable:
        return self._make(Kind.WORKER, self._role)

    def _make_clone(self) -> Resettable:
        return self._make(Kind.CLONE, f"{self._role}c{next(self._serial)}")

    def _make(self, kind: Kind, role: str) -> Resettable:
        self._lease.renew()
        over = self._lease.connection
        databases = self._run.create(self._worker, kind, role=role, connection=over)
        try:
            return Resettable(self._run, databases)
        except BaseException:
            self._run.drop(databases, over)
            raise

    def _restore(self, used: Resettable, make: Callable[[], Resettable]) -> Resettable:
        """Put databases back; where that fails for one, clone them all anew."""
        if used.reset():
            return used
        self._drop(used)
        return make()

    def _drop(self, unused: Resettable) -> None:
        unused.close()
        self.engines.dispose(unused.databases)
        self._lease.renew()
        self._run.drop(unused.databases, self._lease.connection)

    def _keep(self, used: Resettable, isolation: Isolation) -> None:
        used.close()
        self.engines.dispose(used.databases)
        role = None
        if isolation.mode is not IsolationMode.CLONE:  # its name is used again
            role = f"{self._role}k{next(self._serial)}"
        self._run.keep(used.databases, isolation.test, role=role)


def _wait_for(made: Future[Resettable]) -> None:
    with guard.cutting_after(WAIT_SECONDS):
        futures.wait([made])


class Engines:
    """Engines for code that is not async: one for each database, made when first used."""

    def __init__(self) -> None:
        """Make none yet."""
        self._engines: dict[URL, Engine] = {}

    def of(self, url: URL) -> Engine:
        """Get the engine of a database. Its sessions show under the service's name."""
        if url not in self._engines:
            labelled = url.update_query_dict({"application_name": SERVICE})
            self._engines[url] = create_engine(labelled)
        return self._engines[url]

    def dispose(self, databases: DatabaseSet) -> None:
        """Close what is open to these databases."""
        for url in databases.urls.values():
            if engine := self._engines.pop(url, None):
                engine.dispose()
