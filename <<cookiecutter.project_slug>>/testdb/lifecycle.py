"""Create and drop: the only place that issues CREATE DATABASE and DROP DATABASE."""

import os
import socket
from datetime import datetime, timedelta
from typing import cast

import psycopg
from psycopg import sql

from testdb.errors import RefusedError
from testdb.names import Name
from testdb.ownership import Disposable, Kind, Marker, Strategy
from testdb.project import PROJECT


def server_clock(connection: psycopg.Connection) -> datetime:
    """Read the server's clock: the only one that hosts which share a server agree on."""
    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    return cast("datetime", now)


def mark(  # noqa: PLR0913  a marker says all of this
    connection: psycopg.Connection,
    *,
    run: str,
    role: str,
    worker: str,
    logical: str,
    kind: Kind,
    kept_days: float | None = None,
    fingerprint: str | None = None,
) -> Marker:
    """Make the marker of a new database; a person keeps it for so many days."""
    created = server_clock(connection)
    return Marker(
        project=PROJECT,
        run=run,
        role=role,
        worker=worker,
        logical=logical,
        kind=kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        created=created,
        kept_until=None if kept_days is None else created + timedelta(days=kept_days),
        fingerprint=fingerprint,
    )


def create(
    connection: psycopg.Connection,
    name: Name,
    marker: Marker,
    template: Name | None = None,
    strategy: Strategy | None = None,
) -> None:
    """Create a database, empty or as a clone of a template, and put the marker on it.

    Raises:
        psycopg.Error: the server refuses; nothing is left behind that a sweep does not remove.
    """
    source = (
        sql.SQL("template0 ENCODING 'UTF8'") if template is None else sql.Identifier(str(template))
    )
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(str(name)), source)
    if strategy is not None:
        statement += sql.SQL(" STRATEGY ") + sql.SQL(strategy)
    connection.execute(statement)
    comment(connection, name, marker)


def comment(connection: psycopg.Connection, name: Name, marker: Marker) -> None:
    """Write a marker on a database."""
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(
            sql.Identifier(str(name)), sql.Literal(marker.model_dump_json(exclude_none=True))
        )
    )


def drop(connection: psycopg.Connection, proven: Disposable, *, end_sessions: bool = False) -> None:
    """Drop a database that passed the rule. One that has gone already is no error.

    Raises:
        RefusedError: the server refuses: somebody is connected to it, or it is another role's.
        psycopg.OperationalError: the connection was lost.
    """
    identifier = sql.Identifier(str(proven.name))
    statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(identifier)
    try:
        if _is_template(connection, proven.name):
            connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(identifier))
        if end_sessions:
            _drop_by_force(connection, proven.name, statement)
        else:
            connection.execute(statement)
    except psycopg.errors.InvalidCatalogName:
        return  # it went in between
    except psycopg.Error as error:
        if connection.broken:
            raise
        msg = f"{proven.name} was not dropped: {error.diag.message_detail or error}"
        raise RefusedError(msg) from None


def _drop_by_force(connection: psycopg.Connection, name: Name, statement: sql.Composed) -> None:
    """Drop a database with the sessions on it.

    The server refuses FORCE where one of them is a superuser's, and counts autovacuum as such.
    The plain statement ends autovacuum, so that it will do when our own sessions are gone.
    """
    try:
        connection.execute(statement + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        _end_sessions(connection, name)
        connection.execute(statement)


def _end_sessions(connection: psycopg.Connection, name: Name) -> None:
    """End our role's sessions on a database; for each it waits 5 seconds at most."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = current_user",
        [str(name)],
    )


def keep(
    connection: psycopg.Connection, proven: Disposable, *, days: float, role: str | None = None
) -> Name:
    """Mark a database as kept for some days from now; under a name of another role if told so.

    Sessions on it are ended. Returns its name.

    Raises:
        RefusedError: it has no marker.
    """
    if proven.marker is None:
        msg = f"{proven.name} cannot be kept: it has no marker."
        raise RefusedError(msg)
    marker = proven.marker.model_copy(
        update={
            "kept_until": server_clock(connection) + timedelta(days=days),
            "role": role or proven.marker.role,
        }
    )
    (name,) = marker.names()
    _end_sessions(connection, proven.name)
    if name != proven.name:
        # Without a marker both names prove themselves, should we be killed in between.
        old, new = sql.Identifier(str(proven.name)), sql.Identifier(str(name))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(old))
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))
    comment(connection, name, marker)
    return name


def _is_template(connection: psycopg.Connection, name: Name) -> bool:
    """Ask the server: ALTER is refused on what a killed DROP left, which is no template then."""
    query = "SELECT FROM pg_database WHERE datname = %s AND datistemplate"
    return connection.execute(query, [str(name)]).fetchone() is not None
