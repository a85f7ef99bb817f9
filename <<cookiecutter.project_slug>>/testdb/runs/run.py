"""A run: one pytest invocation with its workers, a set of examples, or a task. It has a lease."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import URL

from testdb.adapter import LOGICAL
from testdb.identity.disposable import Kind, Purpose, prove_own
from testdb.identity.errors import LifecycleError, RefusedError, ServerError
from testdb.identity.names import Name, is_run_id, new_run_id
from testdb.postgres import Connection, catalog, databases, templates
from testdb.postgres.catalog import Entry
from testdb.postgres.leases import Lease
from testdb.postgres.server import Server, open_server
from testdb.postgres.templates import Template
from testdb.runs import KEPT_DAYS
from testdb.runs.migrations import migrator_of

RUN_ID_VARIABLE: Final = "TESTDB_RUN_ID"
"""A run tells its child processes its id: their databases belong to it, and die with it."""


class Kept(NamedTuple):
    """A database that a person wants to look at."""

    was: str
    """Its name until then."""
    why: str
    name: str
    """Its name since then."""


@dataclass(frozen=True)
class DatabaseSet:
    """One database for every logical database of the service, made and dropped together."""

    run: str
    names: Mapping[str, Name]
    urls: Mapping[str, URL]


class Run:
    """A living run, and the databases that it makes. `start` makes one."""

    def __init__(self, run_id: str, server: Server, *, cold: bool) -> None:
        """Take the lease.

        Raises:
            ServerError: the server is out of reach, unfit, or busy sweeping this very run.
        """
        self.id = run_id
        self.server = server
        self._cold = cold
        self._prove = partial(prove_own, run=run_id)
        self.label = f"testdb {run_id}"
        """The application_name of the run's own sessions."""
        self.created: list[str] = []
        self.dropped: list[str] = []
        self.kept: list[Kept] = []
        self.cloned_anew: list[str] = []
        """Why databases were not reset, once for each of them."""
        self.renewed = 0
        """How often the lease was lost and taken again."""
        self._present: dict[str, Purpose] = {}
        """What must be on the server now, and what for."""
        self._templates: dict[tuple[Connection, str], Template] = {}
        """By the connection that holds their locks."""
        self.lease = self.new_lease()

    def new_lease(self) -> Lease:
        """Take the run's lease over one more connection, for a thread for example.

        Raises:
            ServerError: the server is out of reach, or sweeping this very run.
        """
        return Lease(partial(self.server.connect, self.label), self.id)

    @property
    def connection(self) -> Connection:
        """The connection that holds the lease, to the server's maintenance database."""
        return self.lease.connection

    def renew_lease(self) -> bool:
        """Take the lease again if its connection was lost. Tells whether it was; costs 5 µs if not.

        Raises:
            ServerError: the server has gone, or a sweep came in between.
        """
        if not self.lease.renew():
            return False
        before = frozenset(self._present)
        found = {entry.name for entry in self.entries()}
        # A thread may have dropped some meanwhile.
        if swept := (before & self._present.keys()) - found:
            msg = (
                f"Run {self.id} lost the connection that held its lease, and a sweep dropped "
                f"{', '.join(sorted(swept))}. Start a new run."
            )
            raise ServerError(msg)
        self.renewed += 1
        return True

    def template(self, logical: str, connection: Connection | None = None) -> Template:
        """Find, build or wait for the template of a logical database.

        Raises:
            LifecycleError: its migrations fail.
        """
        over = connection or self.connection
        if (over, logical) not in self._templates:
            self._templates[over, logical] = templates.ensure(
                over, self.server, self.id, migrator_of(logical), cold=self._cold
            )
        return self._templates[over, logical]

    def create(  # noqa: PLR0913  of these, only a worker and a kind are always needed
        self,
        worker: str,
        kind: Kind,
        *,
        role: str | None = None,
        kept_days: float | None = None,
        base: DatabaseSet | None = None,
        connection: Connection | None = None,
    ) -> DatabaseSet:
        """Make a migrated database for every logical database; all of them or none.

        Args:
            worker: who uses them.
            kind: what they are for.
            role: stands in their names instead, where one worker has several sets.
            kept_days: how long sweep leaves them alone from now on, in days.
            base: what to clone instead of the templates. Sessions on it are ended.
            connection: to use instead of the run's own, in a thread for example.

        Raises:
            LifecycleError: the migrations fail.
            RefusedError: this run has databases of these names already.
        """
        role = role or worker
        names = {logical: Name.of(self.id, role, logical) for logical in LOGICAL}
        urls = {logical: self.server.url_of(str(name)) for logical, name in names.items()}
        made = DatabaseSet(self.id, names, urls)
        over = connection or self.connection
        if catalog.comments(over, names.values()):
            msg = f"Run {self.id} has databases of {role!r} already. Choose another `role`."
            raise RefusedError(msg)
        kept_until = None if kept_days is None else databases.in_days(over, kept_days)
        try:
            for logical, name in names.items():
                purpose = Purpose(run=self.id, worker=worker, logical=logical, kind=kind, role=role)
                template = self.template(logical, over)
                if base:
                    template = replace(template, name=base.names[logical])
                    databases.end_sessions_on(over, template.name)
                templates.clone(over, template, name, purpose, kept_until=kept_until)
                self.created.append(str(name))
                self._present[str(name)] = purpose
        except BaseException:
            self.drop(made, connection)
            raise
        return made

    def drop(self, made: DatabaseSet, connection: Connection | None = None) -> None:
        """Drop what `create` made, ending whatever sessions this run left open on it.

        Raises:
            RefusedError: the server refuses for one of them; the others are dropped.
        """
        over = connection or self.connection
        refusals = []
        for name, comment in self._take(made, over):
            try:
                databases.drop(over, self._prove(name, comment), end_sessions=True)
                self.dropped.append(name)
            except RefusedError as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]

    def keep(
        self, made: DatabaseSet, why: str, *, role: str | None = None, days: float = KEPT_DAYS
    ) -> None:
        """Keep databases for a person, as they are; under another role if theirs is used again.

        Sessions on them are ended.
        """
        purposes = dict(self._present)
        for name, comment in self._take(made, self.connection):
            proven = self._prove(name, comment)
            purpose = purposes[name].model_copy(update={"role": role} if role else {})
            kept = databases.keep(self.connection, proven, purpose, days=days)
            self.kept.append(Kept(name, why, str(kept)))

    def _take(self, made: DatabaseSet, over: Connection) -> Iterable[tuple[str, str | None]]:
        """Stop counting on databases; gives the names and comments of those that are there."""
        for name in made.names.values():
            self._present.pop(str(name), None)
        return catalog.comments(over, made.names.values()).items()

    def drop_leftover(self, entry: Entry) -> None:
        """Drop a database of this run that should have gone before."""
        databases.drop(self.connection, entry.proven, end_sessions=True)

    @contextmanager
    def databases(
        self, worker: str, kind: Kind, *, role: str | None = None
    ) -> Iterator[DatabaseSet]:
        """Have a database for every logical database, for as long as the context lasts."""
        made = self.create(worker, kind, role=role)
        try:
            yield made
        finally:
            self.drop(made)

    def entries(self) -> tuple[Entry, ...]:
        """List the databases of this run that are on the server now, whatever their comments."""
        return catalog.of_run(self.connection, self.id, self._prove)


@contextmanager
def start(*, run_id: str | None = None, cold: bool = False) -> Iterator[Run]:
    """Live as a run: a new one, or one more process of the run that TESTDB_RUN_ID names.

    Raises:
        ServerError: there is no server that can be used.
        LifecycleError: TESTDB_RUN_ID is not the id of a run.
    """
    chosen = run_id or os.environ.get(RUN_ID_VARIABLE) or new_run_id()
    if not is_run_id(chosen):
        msg = f"{RUN_ID_VARIABLE}={chosen!r} is not the id of a run (10 of 0-9 and a-f). Unset it."
        raise LifecycleError(msg)
    with open_server() as server:
        run = Run(chosen, server, cold=cold)
        try:
            server.check_privileges(run.connection)
            yield run
        finally:
            run.lease.close()
