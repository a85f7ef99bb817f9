"""Migrate once, clone many: a template for each logical database, cached by what it was built from.

A template is built under its run's own name and renamed when it is complete, so nobody ever sees
one half-made. Every run that clones it holds an advisory lock on its final name shared, and whoever
builds it another one exclusively: whoever waits, waits for that one, and only while it is built.
"""

import hashlib
import math
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, get_args

import psycopg
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from testdb import catalog, leases, lifecycle
from testdb.errors import LifecycleError
from testdb.link import migrations
from testdb.names import BUILDING, COLD, TEMPLATE, Name
from testdb.ownership import Kind, Marker, Strategy, prove
from testdb.server import Server

STRATEGIES_SINCE: Final = 150000
"""The first server version that clones in more than one way."""
PROBES: Final = 2
"""How often to try each of them."""
PROBE: Final = "probe"
"""The role of the clones that are only made to see how long that takes."""
FORMAT: Final = "1"
"""Raise it when templates are built in another way, so that none of the old ones is used."""


@dataclass(frozen=True)
class Template:
    """A complete, migrated database that nobody connects to."""

    name: Name
    strategy: Strategy | None
    settings: tuple[str, ...]
    """What migrations set with ALTER DATABASE … SET (`name=value`); a clone does not inherit it."""
    build_seconds: float | None = None
    """How long building took; None if it was cached."""

    def describe(self) -> str:
        """Say for people whether any migration ran."""
        if self.build_seconds is None:
            return f"template {self.name.logical} cached, no migration ran"
        return f"template {self.name.logical} migrated in {self.build_seconds:.2f} s"


def fingerprint(connection: psycopg.Connection, logical: str) -> str:
    """Hash all that a template is made by: migrations, tools, server version, and its owner."""
    digest = hashlib.blake2b(digest_size=5)
    tools = f"alembic {version('alembic')} sqlalchemy {version('sqlalchemy')}"
    owner = f"server {connection.info.server_version} role {connection.info.user}"
    digest.update(f"{FORMAT} {logical} {tools} {owner}".encode())
    folder = migrations.DIRECTORY
    for path in sorted((*folder.glob("*.py"), *(folder / logical).rglob("*"))):
        if path.is_file() and path.parent.name != "__pycache__":
            digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def ensure(
    connection: psycopg.Connection, server: Server, run: str, logical: str, *, cold: bool
) -> Template:
    """Find the template of a logical database, or build it, or wait for whoever builds it.

    As long as the connection lives no sweep collects it. A cold template is built anew, once in a
    run, and goes with the run.

    Raises:
        LifecycleError: the migrations fail.
    """
    owner, role = (run, COLD) if cold else (fingerprint(connection, logical), TEMPLATE)
    name = Name.of(owner, role, logical)
    # Whoever looks for it or uses it holds this one, so that no sweep collects it in between.
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [leases.key_of(str(name))])
    if found := _find(connection, name):
        return found
    building = leases.key_of(f"{name} building")
    connection.execute("SELECT pg_advisory_lock(%s)", [building])
    try:
        return _find(connection, name) or _build(connection, server, run, logical, name)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [building])


def clone(connection: psycopg.Connection, template: Template, name: Name, marker: Marker) -> None:
    """Clone a template under a new name."""
    lifecycle.create(connection, name, marker, template.name, template.strategy)
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


def _find(connection: psycopg.Connection, name: Name) -> Template | None:
    """Find a complete template. What a killed sweep left of one is none any more."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = %s AND datistemplate",
        [str(name)],
    ).fetchone()
    if row is None:
        return None
    marker = prove(str(name), row[0]).marker
    strategy = marker.strategy if marker else None
    return Template(name, strategy, _settings(connection, name))


def _settings(connection: psycopg.Connection, name: Name) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database d ON setdatabase = d.oid"
        " WHERE datname = %s AND setrole = 0",
        [str(name)],
    )
    return tuple(row[0] for row in rows)


def _build(
    connection: psycopg.Connection, server: Server, run: str, logical: str, final: Name
) -> Template:
    started = time.monotonic()
    building = Name.of(run, BUILDING, logical)
    for remains in (building, final):  # of a crash in this run, of a sweep that was killed
        _drop(connection, remains)
    marker = lifecycle.mark(
        connection,
        run=run,
        role=final.role,
        worker=final.role,
        logical=logical,
        kind=Kind.TEMPLATE,
        fingerprint=final.owner if final.role == TEMPLATE else None,
    )
    try:
        lifecycle.create(connection, building, marker)
        migrate(server, building, logical)
        strategy = _fastest_strategy(connection, run, building, marker)
        lifecycle.comment(connection, building, marker.model_copy(update={"strategy": strategy}))
        _publish(connection, building, final)
    except BaseException:
        _drop(connection, building)
        raise
    seconds = time.monotonic() - started
    return Template(final, strategy, _settings(connection, final), seconds)


def migrate(server: Server, database: Name, logical: str) -> None:
    """Migrate a database to the newest revision of its logical database.

    Raises:
        LifecycleError: the migrations fail.
    """
    engine = create_engine(server.url_of(str(database)), poolclass=NullPool)
    try:
        with engine.connect() as migrating:
            migrations.upgrade(logical, migrating)
    except (SQLAlchemyError, CommandError) as error:
        msg = (
            f"The migrations of the logical database {logical} fail: {error} "
            f"Correct them in {migrations.DIRECTORY / logical}; nothing was left behind."
        )
        raise LifecycleError(msg) from error
    finally:
        engine.dispose()


def _fastest_strategy(
    connection: psycopg.Connection, run: str, source: Name, marker: Marker
) -> Strategy | None:
    """Clone a few times in each way that the server knows, and see which is faster here."""
    if connection.info.server_version < STRATEGIES_SINCE:
        return None
    probe = Name.of(run, PROBE, marker.logical)
    own = marker.model_copy(update={"kind": Kind.CLONE, "role": PROBE, "fingerprint": None})
    seconds: dict[Strategy, float] = dict.fromkeys(get_args(Strategy), math.inf)
    for strategy in get_args(Strategy) * PROBES:  # in turns: what slows one down slows both
        started = time.monotonic()
        lifecycle.create(connection, probe, own, source, strategy)
        seconds[strategy] = min(seconds[strategy], time.monotonic() - started)
        _drop(connection, probe)
    return min(seconds, key=seconds.__getitem__)


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


def _drop(connection: psycopg.Connection, name: Name) -> None:
    for entry in catalog.read(connection).entries:
        if entry.proven.name == name:
            lifecycle.drop(connection, entry.proven)
