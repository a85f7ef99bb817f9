"""The service's engines follow its settings: they connect to the database that those name now.

A service may make its engine when it is imported, once for all tests. Each test has a database of
its worker's, or a clone, and the settings in the environment name it. So wherever an engine was
made for a disposable database, or for none, it is led to that one. Whatever else it was made for,
the guard refuses.

Nor does an env.py, which runs in this process, configure its logging: that would silence loggers
that tests listen to.

adapter.py and fixtures.py import this module before the service can connect.
"""

from __future__ import annotations

import asyncio
import logging.config
import select
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import Pool

from testdb.adapter import ALEMBIC_INI, SERVICE, url_in_force
from testdb.identity.errors import RefusedError
from testdb.identity.names import parse
from testdb.postgres import sessions
from testdb.postgres.environment import NOWHERE
from testdb.postgres.server_url import DRIVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Dialect
    from sqlalchemy.pool import ConnectionPoolEntry

ANY: Final = f"{DRIVER}:///none?host={NOWHERE}"
"""A URL for engines that follow the settings."""
NO_HOST: Final = NOWHERE.strip("/")
"""The host in a URL's parts that follow the settings: the folder of a socket can be none."""
_configure: Final = logging.config.fileConfig
_ADDRESS: Final = ("host", "hostaddr", "port", "dbname", "user", "password", "service")


def _target() -> URL | None:
    """Get what the settings name, unless that is no database of testdb's, or nothing."""
    with suppress(KeyError, ArgumentError):  # a test may have taken the settings away
        url = url_in_force()
        return url if parse(url.database or "") else None
    return None


@event.listens_for(Engine, "do_connect")
def _connect(dialect: Dialect, _: object, __: object, parameters: dict[str, Any]) -> None:
    """Lead a connection to what the settings name; it shows there under the service's name."""
    if dialect.name != "postgresql":
        return
    if dialect.driver not in ("psycopg", "psycopg_async"):
        msg = (
            f"The service connects by {dialect.driver}, which testdb cannot watch. Have it write "
            "its URL as postgresql+psycopg://…, for engines that are async and that are not, or "
            "take the one in its settings as it is."
        )
        raise RefusedError(msg)
    if parameters.get("host") in (NOWHERE, NO_HOST) or parse(parameters.get("dbname", "")):
        parameters["application_name"] = SERVICE
        if target := _target():
            for name in _ADDRESS:
                parameters.pop(name, None)
            parameters.update(dialect.create_connect_args(target)[1])


@event.listens_for(Pool, "checkout")
def _check_out(_: object, record: ConnectionPoolEntry, __: object) -> None:
    """Have the pool replace a connection to another database, of another event loop, or ended.

    The end of an e2e test ends the connections of the service in its process.
    """
    connection = record.driver_connection
    if not isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        return
    if connection.closed or _was_ended(connection):
        raise DisconnectionError
    if (target := _target()) and connection.info.dbname != target.database:
        raise DisconnectionError
    if isinstance(connection, psycopg.AsyncConnection):
        loop = None
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
        if record.info.setdefault("testdb_loop", loop) is not loop:
            raise DisconnectionError


def _was_ended(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    """Tell whether the server has ended a connection: nothing else comes to one that idles."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def _refuse_others(dialect: Dialect, *_: object) -> None:
    if dialect.name != "postgresql":
        msg = (
            f"env.py connects to {dialect.name}, and would migrate a real database. Have it take "
            "its URL or engine from the service's settings."
        )
        raise RefusedError(msg)


@contextmanager
def left_by_env_py(connection: Connection) -> Iterator[None]:
    """Close in the end this connection, and what env.py leaves in a pool to the same database.

    Meanwhile nothing connects to a database that is not PostgreSQL's.
    """
    event.listen(Engine, "do_connect", _refuse_others)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", _refuse_others)
        connection.close()
        sessions.close([connection.engine.url.database], SERVICE)


def _configure_others(file: Any, *arguments: Any, **options: Any) -> None:
    if str(file) != str(ALEMBIC_INI):
        _configure(file, *arguments, **options)


logging.config.fileConfig = _configure_others
