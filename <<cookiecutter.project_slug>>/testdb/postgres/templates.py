"""Migrate once, clone many: a template for each logical database, cached by what it was built from.

A template is built under its run's own name and renamed when it is complete, so nobody ever sees
one half-made. There are two advisory locks: every run that uses a template holds the one on its
name shared, and a sweep must get it exclusively; whoever builds it holds the one on "<name>
building" exclusively, and the others wait for that.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL

from testdb.identity.disposable import Kind, Purpose, prove
from testdb.identity.names import BUILDING, COLD, TEMPLATE, Name
from testdb.postgres import catalog, databases, leases
from testdb.postgres.server import Server

FORMAT: Final = "2"
"""Raise it when templates are built in another way, so that none of the old ones is used."""


@dataclass(frozen=True)
class Migrator:
    """What this room must know of the migrations of a logical database."""

    logical: str
    digest: str
    """Differs where the migrations, or the tools that run them, differ."""
    migrate: Callable[[URL], None]
    """Migrates a database to the newest revision."""


@dataclass(frozen=True)
class Template:
    """A complete, migrated database that nobody connects to."""

    name: Name
    strategy: LiteralString | None
    """How to clone it, in the words of CREATE DATABASE; None leaves that to the server."""
    settings: tuple[str, ...]
    """What a clone gets with ALTER DATABASE … SET (`name=value`): it inherits nothing of that."""
    build_seconds: float | None = None
    """How long building took; None if it was cached."""

    def describe(self) -> str:
        """Say for people whether any migration ran."""
        if self.build_seconds is None:
            return f"template {self.name.logical} cached, no migration ran"
        return f"template {self.name.logical} migrated in {self.build_seconds:.2f} s"


def ensure(
    connection: psycopg.Connection, server: Server, run: str, migrator: Migrator, *, cold: bool
) -> Template:
    """Find the template of a logical database, or build it, or wait for whoever builds it.

    As long as the connection lives no sweep collects it. A cold template is built anew, once in a
    run, and goes with the run.

    Raises:
        LifecycleError: the migrations fail.
    """
    owner, role = (run, COLD) if cold else (_fingerprint(connection, migrator), TEMPLATE)
    name = Name.of(owner, role, migrator.logical)
    # Taken before looking: no sweep drops it in between.
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [leases.key_of(str(name))])
    if found := _find(connection, server, name):
        return found
    building = leases.key_of(f"{name} building")
    connection.execute("SELECT pg_advisory_lock(%s)", [building])
    try:
        return _find(connection, server, name) or _build(connection, server, run, migrator, name)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [building])


def clone(
    connection: psycopg.Connection,
    template: Template,
    name: Name,
    purpose: Purpose,
    *,
    kept_until: datetime | None = None,
) -> None:
    """Clone a template under a new name."""
    databases.create(
        connection,
        name,
        purpose,
        template=template.name,
        strategy=template.strategy,
        kept_until=kept_until,
    )
    for setting in template.settings:
        key, _, value = setting.partition("=")
        with connection.transaction():
            # FROM CURRENT needs no quoting rules of lists such as search_path.
            connection.execute("SELECT set_config(%s, %s, true)", [key, value])
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(
                    sql.Identifier(str(name)), sql.Identifier(*key.split("."))
                )
            )


def _fingerprint(connection: psycopg.Connection, migrator: Migrator) -> str:
    """Hash all that a template is made by: migrations, tools, server version, and its owner."""
    owner = f"server {connection.info.server_version} role {connection.info.user}"
    everything = f"{FORMAT} {migrator.logical} {owner} {migrator.digest}"
    return hashlib.blake2b(everything.encode(), digest_size=5).hexdigest()


def _find(connection: psycopg.Connection, server: Server, name: Name) -> Template | None:
    """Find a complete template. What a killed sweep left of one is none any more."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = %s AND datistemplate",
        [str(name)],
    ).fetchone()
    if row is None:
        return None
    prove(str(name), row[0])
    return Template(name, server.clone_strategy, _settings(connection, server, name))


def _settings(connection: psycopg.Connection, server: Server, name: Name) -> tuple[str, ...]:
    """List what the server has clones set, and what migrations set, which wins."""
    rows = connection.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database d ON setdatabase = d.oid"
        " WHERE datname = %s AND setrole = 0",
        [str(name)],
    )
    return (*server.clone_settings, *(setting for (setting,) in rows))


def _build(
    connection: psycopg.Connection, server: Server, run: str, migrator: Migrator, final: Name
) -> Template:
    started = time.monotonic()
    building = Name.of(run, BUILDING, migrator.logical)
    # A process of this run was killed and left the one, or a killed sweep the other.
    _drop(connection, building, final)
    purpose = Purpose(
        run=run,
        worker=final.role,
        logical=migrator.logical,
        kind=Kind.TEMPLATE,
        role=final.role,
        fingerprint=final.owner if final.role == TEMPLATE else None,
    )
    try:
        databases.create(connection, building, purpose)
        migrator.migrate(server.url_of(str(building)))
        _publish(connection, building, final)
    except BaseException:
        _drop(connection, building)
        raise
    seconds = time.monotonic() - started
    return Template(final, server.clone_strategy, _settings(connection, server, final), seconds)


def _publish(connection: psycopg.Connection, building: Name, final: Name) -> None:
    """Make a complete template visible; the rename comes last and is atomic."""
    for change in (
        "ALTER DATABASE {building} ALLOW_CONNECTIONS false IS_TEMPLATE true",
        "ALTER DATABASE {building} RENAME TO {final}",
    ):
        connection.execute(
            sql.SQL(change).format(
                building=sql.Identifier(str(building)), final=sql.Identifier(str(final))
            )
        )


def _drop(connection: psycopg.Connection, *names: Name) -> None:
    for name, comment in catalog.comments(connection, names).items():
        databases.drop(connection, prove(name, comment))
