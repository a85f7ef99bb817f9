"""A run: one pytest invocation with all its workers, or one example. It holds a lease."""

import os
import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import psycopg
from sqlalchemy import URL, Engine, create_engine

from testdb import catalog, leases, lifecycle, templates
from testdb import server as servers
from testdb.catalog import Entry
from testdb.errors import LifecycleError, ServerError
from testdb.link import ENV_PREFIX, LOGICAL, SERVICE
from testdb.names import Name, is_run_id, new_run_id
from testdb.ownership import Kind
from testdb.server import Server, psql_uri
from testdb.templates import Template

VARIABLE: Final = "TESTDB_RUN_ID"
"""A run tells its child processes its id: their databases belong to it, and die with it."""
KEPT_DAYS: Final = 7.0
"""How long a kept database outlives its run, unless told otherwise."""


@dataclass(frozen=True)
class DatabaseSet:
    """One database for every logical database of the service, made and dropped together."""

    run: str
    names: Mapping[str, Name]
    urls: Mapping[str, URL]

    def environment(self) -> dict[str, str]:
        """Spell the URLs as the service's settings. They hold the password: show them to nobody."""
        return {
            f"{ENV_PREFIX}DATABASE_URLS__{logical.upper()}": url.render_as_string(
                hide_password=False
            )
            for logical, url in self.urls.items()
        }

    @cached_property
    def engines(self) -> Mapping[str, Engine]:
        """Engines for code that is not async: one for each database, made when first used."""
        return {
            logical: create_engine(
                url.update_query_dict({"application_name": SERVICE}), pool_pre_ping=True
            )
            for logical, url in self.urls.items()
        }

    def dispose(self) -> None:
        """Close what the engines hold open, if there are any."""
        for engine in vars(self).get("engines", {}).values():
            engine.dispose()


class Run:
    """A living run, and the databases that it makes. `start` makes one."""

    def __init__(self, run_id: str, server: Server, *, cold: bool) -> None:
        """Connect to the server and take the lease.

        Raises:
            ServerError: the server is out of reach, unfit, or busy sweeping this very run.
        """
        self.id = run_id
        self.server = server
        self._cold = cold
        self.label = f"testdb {run_id}"
        """The application_name of the run's own sessions."""
        self.created = self.dropped = 0
        self.renewed = 0
        """How often the lease was lost and taken again."""
        self.kept: list[tuple[str, str]] = []
        """Why a database was kept, and the URI that psql opens."""
        self._made: set[Name] = set()
        self._take_lease()

    def _take_lease(self) -> None:
        self.connection = self.server.connect(self.label)
        try:
            self.server.refuse_unfit(self.connection)
            leases.hold(self.connection, self.id)
        except BaseException:
            self.connection.close()
            raise
        self._templates: dict[str, Template] = {}  # their locks live and die with the connection

    def renew_lease(self) -> bool:
        """Take the lease again if its connection was lost. Tells whether it was; costs 5 µs if not.

        Raises:
            ServerError: the server has gone, or a sweep came in between.
        """
        if not self._has_lost_lease():
            return False
        self.connection.close()
        self._take_lease()
        if swept := self._made - {entry.proven.name for entry in self.entries()}:
            msg = (
                f"Run {self.id} lost the connection that held its lease, and a sweep dropped "
                f"{', '.join(sorted(map(str, swept)))}. Start a new run."
            )
            raise ServerError(msg)
        self.renewed += 1
        return True

    def _has_lost_lease(self) -> bool:
        if not self.connection.broken:
            poll = select.poll()  # unlike select(), it takes any file descriptor
            poll.register(self.connection, select.POLLIN)
            if not poll.poll(0):
                return False
        try:
            self.connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    def template(self, logical: str) -> Template:
        """Find, build or wait for the template of a logical database.

        Raises:
            LifecycleError: its migrations fail.
        """
        if logical not in self._templates:
            self._templates[logical] = templates.ensure(
                self.connection, self.server, self.id, logical, cold=self._cold
            )
        return self._templates[logical]

    def create(
        self, worker: str, kind: Kind, *, role: str | None = None, kept_days: float | None = None
    ) -> DatabaseSet:
        """Make a migrated database for every logical database; all of them or none.

        Args:
            worker: who uses them.
            kind: what they are for.
            role: stands in their names instead, where one worker has several sets.
            kept_days: how long sweep leaves them alone after this run, in days.

        Raises:
            LifecycleError: the migrations fail.
        """
        names = {logical: Name.of(self.id, role or worker, logical) for logical in LOGICAL}
        made = DatabaseSet(
            self.id, names, {key: self.server.url_of(str(name)) for key, name in names.items()}
        )
        try:
            for logical, name in names.items():
                template = self.template(logical)
                marker = lifecycle.mark(
                    self.connection,
                    run=self.id,
                    role=role or worker,
                    worker=worker,
                    logical=logical,
                    kind=kind,
                    kept_days=kept_days,
                )
                templates.clone(self.connection, template, name, marker)
                self.created += 1
                self._made.add(name)
        except BaseException:
            self.drop(made)
            raise
        return made

    def drop(self, databases: DatabaseSet) -> None:
        """Drop what `create` made, ending whatever sessions this run left open on it."""
        names = set(databases.names.values())
        self._made -= names
        for entry in self.entries():
            if entry.proven.name in names:
                lifecycle.drop(self.connection, entry.proven, end_sessions=True)
                self.dropped += 1

    def keep(
        self,
        databases: DatabaseSet,
        why: str,
        *,
        role: str | None = None,
        days: float = KEPT_DAYS,
    ) -> None:
        """Keep databases for a person, as they are; under another role if theirs is used again.

        Sessions on them are ended.
        """
        names = set(databases.names.values())
        self._made -= names
        for entry in self.entries():
            if entry.proven.name in names:
                kept = lifecycle.keep(self.connection, entry.proven, days=days, role=role)
                self.kept.append((why, psql_uri(self.server.url_of(str(kept)))))

    def connect(self, name: Name) -> psycopg.Connection:
        """Connect to one of its databases, in autocommit mode."""
        return self.server.connect(self.label, database=str(name))

    def second(self) -> "Run":
        """Be the same run once more, over a connection and a lease of its own: for a thread.

        Raises:
            ServerError: the server has gone.
        """
        return Run(self.id, self.server, cold=self._cold)

    def take_over(self, second: "Run") -> None:
        """End a second one, and count what it did as our own."""
        second.connection.close()
        self.created += second.created
        self.dropped += second.dropped
        self.kept += second.kept

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

    def describe(self) -> list[str]:
        """Describe the run for people: server, durability, templates."""
        version = self.connection.info.parameter_status("server_version")
        durability = ", ".join(
            f"{name} {value}"
            for name, value in self.connection.execute(
                "SELECT name, setting FROM pg_settings"
                " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name"
            )
        )
        ready = ", ".join(template.describe() for template in self._templates.values())
        return [
            f"testdb: PostgreSQL {version}, {self.server.kind}; {durability}",
            f"testdb: run {self.id}; {ready}",
        ]

    def entries(self) -> list[Entry]:
        """List the databases of this run that are on the server now."""
        return [
            entry
            for entry in catalog.read(self.connection).entries
            if entry.proven.name.run == self.id
        ]


@contextmanager
def start(*, run_id: str | None = None, cold: bool = False) -> Iterator[Run]:
    """Live as a run: a new one, or one more process of the run that TESTDB_RUN_ID names.

    Raises:
        ServerError: there is no server that can be used.
        LifecycleError: TESTDB_RUN_ID is not the id of a run.
    """
    chosen = run_id or os.environ.get(VARIABLE) or new_run_id()
    if not is_run_id(chosen):
        msg = f"{VARIABLE}={chosen!r} is not the id of a run (10 of 0-9 and a-f). Unset it."
        raise LifecycleError(msg)
    with servers.running() as server:
        run = Run(chosen, server, cold=cold)
        try:
            yield run
        finally:
            run.connection.close()
