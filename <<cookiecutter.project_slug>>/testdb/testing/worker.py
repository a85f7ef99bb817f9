"""The databases of one worker: its tests use one set in turn, or have a set to themselves.

When a test ends, the server puts its set back, or a thread makes it anew, while pytest reports the
test and sets up the next one. Whoever needs the set waits for that.

Seeds stand in one more set, which no test uses: as long as they are wanted, the others are clones
of it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from sqlalchemy import URL, Engine, create_engine

from testdb.adapter import SERVICE
from testdb.identity.disposable import Kind
from testdb.identity.errors import LifecycleError, RefusedError
from testdb.postgres import sessions
from testdb.postgres.contents import Contents
from testdb.postgres.guard import guard
from testdb.postgres.reset import Resetter
from testdb.runs import environment
from testdb.runs.run import DatabaseSet, Run
from testdb.testing.isolation import Isolation, IsolationError, IsolationMode
from testdb.testing.seeds import Fill, store

WAIT_SECONDS: Final = 60.0
"""How long a test waits for its databases, before the connections to a silent server are cut."""
CLONES: Final = 2
"""Sets for tests that want their own: one is used while the other is put back."""


class Resettable:
    """A set of databases, and what puts each of them back."""

    def __init__(self, run: Run, databases: DatabaseSet, contents: dict[str, Contents]) -> None:
        """Prepare the reset of fresh databases.

        Args:
            run: whose they are.
            databases: which ones.
            contents: what their templates hold, by logical database; what is not known is added.
        """
        self.databases = databases
        self.names = [str(name) for name in databases.names.values()]
        self._run = run
        self._resetters: list[Resetter] = []
        for logical, name in databases.names.items():
            connection = run.server.connect(run.label, str(name))
            resetter = Resetter(connection, contents.get(logical))
            self._resetters.append(resetter)
            if resetter.contents:
                contents[logical] = resetter.contents

    def end_sessions(self, *, is_served: bool) -> list[str]:
        """Clean or end the sessions of a test, and look what it changed.

        Returns:
            Those that somebody forgot to close: what each was doing, and who opened it.
        """
        others = len(sessions.clean(self.names, SERVICE))
        left_open = []
        if sum(resetter.look() for resetter in self._resetters) != others:
            left_open = sessions.end_left_open(
                self._run.connection,
                self.names,
                ours=self._run.label,
                pooled=SERVICE,
                is_served=is_served,
            )
            for resetter in self._resetters:
                resetter.look()
        if not sessions.have_counted(self.names, SERVICE):
            for resetter in self._resetters:
                resetter.obstacle = "the service still uses a connection that the test has used"
        return left_open

    def begin_reset(self) -> None:
        """Have the server put them back."""
        for resetter in self._resetters:
            resetter.begin()

    def finish_reset(self) -> bool:
        """Wait until they are put back. False if something turned out to be in the way."""
        before = self.obstacles
        for resetter in self._resetters:
            resetter.finish()
        return self.obstacles == before

    @property
    def obstacles(self) -> list[str]:
        """What stands in the way of a reset, as far as that is known."""
        return [resetter.obstacle for resetter in self._resetters if resetter.obstacle]

    def close(self) -> None:
        """Close what this process has open to them and does not use."""
        for resetter in self._resetters:
            resetter.close()
        sessions.close(self.names, SERVICE)


@dataclass(frozen=True)
class Base:
    """What the databases of tests are clones of."""

    databases: DatabaseSet | None = None
    """None for the templates."""
    contents: dict[str, Contents] = field(default_factory=dict)
    """What they hold, by logical database, once that is known."""


class WorkerDatabases:
    """One worker's databases. Each test finds in them what the template holds, and seeds."""

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
        self._bases = [Base()]
        """The last one is in use."""
        self._in_use = False
        """A test uses databases now."""
        self._lease = run.new_lease()
        self._thread = ThreadPoolExecutor(1, "testdb", initializer=guard.exempt_thread)
        self._ready: dict[IsolationMode, deque[Future[Resettable]]] = {
            mode: deque() for mode in IsolationMode
        }
        self._lent: dict[IsolationMode, Resettable] = {}
        self.engines = Engines()
        """For code that is not async."""
        self._refusal: RefusedError | None = None
        """Why the databases that tests use in turn cannot be made anew."""
        self._ready[IsolationMode.RESET].append(_done(self._make(IsolationMode.RESET)))

    @property
    def databases(self) -> DatabaseSet:
        """What tests use in turn; waits until they are there."""
        ready = self._ready[IsolationMode.RESET]
        return (ready[0].result() if ready else self._lent[IsolationMode.RESET]).databases

    def close(self) -> None:
        """Drop them, and the clones that tests had; what cannot be dropped, the audit names."""
        self._thread.shutdown()
        try:
            self._drop_all(self._take_all())
        finally:
            self._lease.close()

    @contextmanager
    def seeded(self, fill: Fill) -> Iterator[None]:
        """Have rows in the databases of all tests until the context ends, besides what was there.

        They are stored once, in databases that those of tests are cloned from. For an autouse
        fixture of a module or of the whole session: a test that does not ask for it has the rows
        too. One context in another adds its rows to the other's.

        Args:
            fill: stores them, with a session for each logical database; they are committed then.

        Raises:
            LifecycleError: the rows cannot be stored, or a test uses the databases already.
        """
        if self._in_use:
            msg = (
                "A test uses the databases already, so that they cannot have seeds. Use `seeded` "
                'in a fixture with scope="module" or scope="session".'
            )
            raise LifecycleError(msg)
        made = self._thread.submit(self._make_base)
        try:
            with guard.cutting_after(WAIT_SECONDS):
                databases = made.result()
            store(databases.urls, fill)
            with guard.cutting_after(WAIT_SECONDS):
                self._rebase([*self._bases, Base(databases)])
            try:
                yield
            finally:
                self._rebase(self._bases[:-1])
        finally:  # also of what interrupts the wait
            self._thread.submit(lambda: self._drop_set(made.result()))

    def _rebase(self, bases: list[Base]) -> None:
        """Have the databases of tests made anew, from the last of these."""
        unused = self._take_all()
        self._bases = bases
        self._submit(IsolationMode.RESET, unused)

    def _take_all(self) -> list[tuple[IsolationMode, Resettable]]:
        """Take all sets, as soon as they are made: no test gets one of them any more."""
        ready = [(mode, made) for mode, futures in self._ready.items() for made in futures]
        taken = [(mode, made.result()) for mode, made in ready if not made.exception()]
        taken += self._lent.items()
        for mode in IsolationMode:
            self._ready[mode].clear()
        self._lent.clear()
        return taken

    @contextmanager
    def acquire(self, isolation: Isolation) -> Iterator[DatabaseSet]:
        """Have databases for one test: those that tests use in turn, or clones of its own.

        Raises:
            IsolationError: the test left sessions open.
        """
        mode = isolation.mode
        used = self._lent[mode] = self._take(mode)
        self._in_use = True
        try:
            with environment.pointing_to(used.databases.urls):
                yield used.databases
        finally:
            self._in_use = False
        left_open = used.end_sessions(is_served=self._is_served)
        if isolation.should_keep():
            self._keep(used, isolation)
            self._add(mode)
        else:
            self._give_back(mode, used)
        del self._lent[mode]
        if left_open:
            msg = f"{isolation.test} left sessions open, which were ended: {', '.join(left_open)}."
            raise IsolationError(msg)

    def _take(self, mode: IsolationMode) -> Resettable:
        ready = self._ready[mode]
        if mode in self._lent:  # the end of a test was interrupted
            self._add(mode, instead_of=self._lent.pop(mode))
        while len(ready) < (CLONES if mode is IsolationMode.CLONE else 1):
            self._add(mode)
        with guard.cutting_after(WAIT_SECONDS):
            futures.wait([ready[0]])  # what interrupts this leaves the set for the next test
            if not ready[0].exception() and not ready[0].result().finish_reset():
                self._add(mode, instead_of=ready.popleft().result())
                futures.wait([ready[0]])
        return ready.popleft().result()

    def _give_back(self, mode: IsolationMode, used: Resettable) -> None:
        used.begin_reset()
        if used.obstacles:
            self._add(mode, instead_of=used)
        else:
            self._ready[mode].append(_done(used))

    def _add(self, mode: IsolationMode, *, instead_of: Resettable | None = None) -> None:
        """Have a set made, and the one dropped that cannot be put back: say why."""
        unused = []
        if instead_of:
            reason = "; ".join(dict.fromkeys(instead_of.obstacles))
            reason = reason or "the end of a test was interrupted"
            self._run.cloned_anew += [reason] * len(instead_of.names)
            unused = [(mode, instead_of)]
        self._submit(mode, unused)

    def _submit(self, mode: IsolationMode, unused: list[tuple[IsolationMode, Resettable]]) -> None:
        """Have the thread drop sets, and make one."""
        self._ready[mode].append(self._thread.submit(self._make, mode, unused))

    def _make(
        self, mode: IsolationMode, unused: Sequence[tuple[IsolationMode, Resettable]] = ()
    ) -> Resettable:
        self._drop_all(unused)
        if mode is IsolationMode.RESET and self._refusal:
            raise self._refusal
        is_clone = mode is IsolationMode.CLONE
        kind = Kind.CLONE if is_clone else Kind.WORKER
        role = f"{self._role}c{next(self._serial)}" if is_clone else self._role
        databases = self._create(kind, role)
        try:
            return Resettable(self._run, databases, self._bases[-1].contents)
        except BaseException:
            self._drop_set(databases)
            raise

    def _make_base(self) -> DatabaseSet:
        return self._create(Kind.CLONE, f"{self._role}s{next(self._serial)}")

    def _create(self, kind: Kind, role: str) -> DatabaseSet:
        self._lease.renew()
        base, over = self._bases[-1].databases, self._lease.connection
        return self._run.create(self._worker, kind, role=role, base=base, connection=over)

    async def clean(self) -> None:
        """Wait, for half a second at most, until the service is in no transaction; then clean.

        Call it when a test has ended. Later the service's own tasks may use a connection that the
        test has used, and such a one cannot be cleaned.
        """
        names = self._lent[IsolationMode.RESET].names
        deadline = time.monotonic() + sessions.GRACE_SECONDS
        while not sessions.are_idle(names, SERVICE):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.001)
        sessions.clean(names, SERVICE)

    def _disconnect(self, unused: Resettable) -> None:
        unused.close()
        self.engines.dispose(unused.databases)

    def _drop_all(self, unused: Iterable[tuple[IsolationMode, Resettable]]) -> None:
        """Drop sets; what cannot be dropped, the audit names."""
        for mode, made in unused:
            self._disconnect(made)
            try:
                self._drop_set(made.databases)
            except RefusedError as refusal:
                if mode is IsolationMode.RESET:  # its name is used again
                    self._refusal = refusal

    def _drop_set(self, databases: DatabaseSet) -> None:
        self._lease.renew()
        self._run.drop(databases, self._lease.connection)

    def _keep(self, used: Resettable, isolation: Isolation) -> None:
        self._disconnect(used)
        role = None
        if isolation.mode is not IsolationMode.CLONE:  # its name is used again
            role = f"{self._role}k{next(self._serial)}"
        self._run.keep(used.databases, isolation.test, role=role)


def _done(made: Resettable) -> Future[Resettable]:
    future: Future[Resettable] = Future()
    future.set_result(made)
    return future


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
