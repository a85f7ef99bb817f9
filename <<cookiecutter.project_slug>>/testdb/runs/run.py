"""A run: one pytest invocation with its workers, a set of examples, or a task. It has a lease."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import URL

from testdb.adapter import LOGICAL
from testdb.identity.disposable import Kind, Purpose
from testdb.identity.errors import LifecycleError, RefusedError, ServerError
from testdb.identity.names import Name, is_run_id, new_run_id
from testdb.postgres import Connection, catalog, databases, templates
from testdb.postgres.catalog import Entry
from testdb.postgres.leases import Lease
from testdb.postgres.psql import psql_uri
from testdb.postgres.server import Server, open_server
from testdb.postgres.templates import Template
from testdb.runs.migrations import migrator_of

RUN_ID_VARIABLE: Final = "TESTDB_RUN_ID"
"""A run tells its child processes its id: their databases belong to it, and die with it."""
KEPT_DAYS: Final = 7.0
"""How long a database is kept, from when it was created or kept, unless told otherwise."""


@dataclass(frozen=True)
class DatabaseSet:
    """One database for every logical database of the service, made and dropped together."""

    run: str
    names: Mapping[str, Name]
    urls: Mapping[str, URL]
    """They hold the password; printed, they show asterisks."""


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
        self.label = f"testdb {run_id}"
        """The application_name of the run's own sessions."""
        self.created: list[str] = []
        self.dropped: list[str] = []
        self.kept: list[tuple[str, str]] = []
        """Why a database was kept, and the URI that psql opens."""
        self.renewed = 0
        """How often the lease was lost and taken again."""
        self._present: set[str] = set()
        """What must be on the server now."""
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
        if swept := (before & self._present) - found:  # a thread may have dropped some meanwhile
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

    def create(
        self,
        worker: str,
        kind: Kind,
        *,
        role: str | None = None,
        kept_days: float | None = None,
        connection: Connection | None = None,
    ) -> DatabaseSet:
        """Make a migrated database for every logical database; all of them or none.

        Args:
            worker: who uses them.
            kind: what they are for.
            role: stands in their names instead, where one worker has several sets.
            kept_days: how long sweep leaves them alone from now on, in days.
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
        if catalog.find(over, names.values()):
            msg = f"Run {self.id} has databases of {role!r} already. Choose another `role`."
            raise RefusedError(msg)
        try:
            for logical, name in names.items():
                purpose = Purpose(run=self.id, worker=worker, logical=logical, kind=kind, role=role)
                template = self.template(logical, over)
                templates.clone(over, template, name, purpose, kept_days=kept_days)
                self.created.append(str(name))
                self._present.add(str(name))
        except BaseException:
            self.drop(made, connection)
            raise
        return made

    def drop(self, made: DatabaseSet, connection: Connection | None = None) -> None:
        """Drop what `create` made, ending whatever sessions this run left open on it."""
        self._present.difference_update(map(str, made.names.values()))
        over = connection or self.connection
        for entry in catalog.find(over, made.names.values()):
            databases.drop(over, entry.proven, end_sessions=True)
            self.dropped.append(entry.name)

    def keep(
        self, made: DatabaseSet, why: str, *, role: str | None = None, days: float = KEPT_DAYS
    ) -> None:
        """Keep databases for a person, as they are; under another role if theirs is used again.

        Sessions on them are ended.
        """
        self._present.difference_update(map(str, made.names.values()))
        for entry in catalog.find(self.connection, made.names.values()):
            kept = databases.keep(self.connection, entry.proven, days=days, role=role)
            self.kept.append((why, psql_uri(self.server.url_of(str(kept)))))

    def drop_leftovers(self, is_leftover: Callable[[Entry], bool]) -> Iterator[Entry]:
        """Drop databases of this run that should have gone before; yields each when it has gone."""
        for entry in filter(is_leftover, self.entries()):
            databases.drop(self.connection, entry.proven, end_sessions=True)
            yield entry

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
        """List the databases of this run that are on the server now."""
        return catalog.of_run(self.connection, self.id)


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
