"""Create, keep and drop: the only place that issues CREATE DATABASE and DROP DATABASE."""

import os
import socket
from datetime import datetime, timedelta
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from testdb.identity.disposable import Disposable, Marker, Purpose
from testdb.identity.errors import RefusedError
from testdb.identity.names import Name
from testdb.identity.project import PROJECT

END_MILLISECONDS = 5000
"""How long to wait for a session to end."""


def create(  # noqa: PLR0913  of these, only a name and a purpose are always needed
    connection: psycopg.Connection,
    name: Name,
    purpose: Purpose,
    *,
    template: Name | None = None,
    strategy: LiteralString | None = None,
    kept_until: datetime | None = None,
) -> None:
    """Create a database, and put the marker on it.

    Args:
        connection: to the server.
        name: what it is called.
        purpose: what it is for.
        template: what it is a clone of; without it, it is empty.
        strategy: how to clone, in the words of CREATE DATABASE; else the server chooses.
        kept_until: how long a person keeps it, by the server's clock.

    Raises:
        psycopg.Error: the server refuses; nothing is left behind that a sweep does not remove.
    """
    source = (
        sql.SQL("template0 ENCODING 'UTF8'") if template is None else sql.Identifier(str(template))
    )
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(str(name)), source)
    if strategy is not None:
        statement += sql.SQL(" STRATEGY ") + sql.SQL(strategy)
    now = _server_clock(connection)
    connection.execute(statement)
    _write_marker(connection, name, _marker_of(purpose, now, kept_until))


def _marker_of(purpose: Purpose, created: datetime, kept_until: datetime | None) -> Marker:
    return Marker(
        **purpose.model_dump(),
        project=PROJECT,
        host=socket.gethostname(),
        pid=os.getpid(),
        created=created,
        kept_until=kept_until,
    )


def _write_marker(connection: psycopg.Connection, name: Name, marker: Marker) -> None:
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(
            sql.Identifier(str(name)), sql.Literal(marker.model_dump_json(exclude_none=True))
        )
    )


def in_days(connection: psycopg.Connection, days: float) -> datetime:
    """Give the time so many days from now."""
    return _server_clock(connection) + timedelta(days=days)


def _server_clock(connection: psycopg.Connection) -> datetime:
    """Read the server's clock: the only one that hosts which share a server agree on."""
    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    return cast("datetime", now)


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
        return  # somebody else dropped it just now
    except psycopg.Error as error:
        if connection.broken:
            raise
        msg = f"{proven.name} was not dropped: {error.diag.message_detail or error}"
        if isinstance(error, psycopg.errors.ObjectInUse):
            msg += (
                " What else than a session uses a database is removed in it: by DROP SUBSCRIPTION, "
                "ROLLBACK PREPARED or pg_drop_replication_slot."
            )
        raise RefusedError(msg) from None


def _drop_by_force(connection: psycopg.Connection, name: Name, statement: sql.Composed) -> None:
    """Drop a database with the sessions on it.

    The server refuses FORCE where one of them is a superuser's, and counts autovacuum as such.
    The plain statement ends autovacuum, so that it will do when our own sessions are gone.
    """
    try:
        connection.execute(statement + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        end_sessions_on(connection, name)
        connection.execute(statement)


def end_sessions_on(connection: psycopg.Connection, name: Name) -> None:
    """End our role's sessions on a database, and wait for each."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = current_user",
        [END_MILLISECONDS, str(name)],
    )


def keep(
    connection: psycopg.Connection, proven: Disposable, purpose: Purpose, *, days: float
) -> Name:
    """Mark a database as kept for some days from now, under the name that goes with the purpose.

    Sessions on it are ended. Returns its name.
    """
    created = proven.marker.created if proven.marker else _server_clock(connection)
    name = Name.of(purpose.run, purpose.role, purpose.logical)
    end_sessions_on(connection, proven.name)
    if name != proven.name:
        # The marker goes first: if we are killed, either name alone still passes the rule.
        old, new = sql.Identifier(str(proven.name)), sql.Identifier(str(name))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(old))
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))
    _write_marker(connection, name, _marker_of(purpose, created, in_days(connection, days)))
    return name


def _is_template(connection: psycopg.Connection, name: Name) -> bool:
    """Ask first: ALTER fails on what an interrupted DROP left, which is no template any more."""
    query = "SELECT FROM pg_database WHERE datname = %s AND datistemplate"
    return connection.execute(query, [str(name)]).fetchone() is not None
