"""The logical databases of the service, and the engines and session factories over them.

To add a logical database: a base class and a row in LOGICAL_DATABASES, a folder in migrations/.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Final

from fastapi import Depends
from sqlalchemy import MetaData, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from starlette.requests import HTTPConnection

from <<cookiecutter.package_name>>.settings import Settings, SettingsError, variable

NAMING_CONVENTION: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Explicit constraint names, so that a migration can drop what another one made."""


class MainBase(DeclarativeBase):
    """Base of the models in the logical database `main`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


<% if cookiecutter.databases == "two" %>
class TimeseriesBase(DeclarativeBase):
    """Base of the models in the logical database `timeseries`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


<% endif %>
LOGICAL_DATABASES: Final[Mapping[str, MetaData]] = {
    "main": MainBase.metadata,
<% if cookiecutter.databases == "two" %>
    "timeseries": TimeseriesBase.metadata,
<% endif %>
}
"""Every logical database of the service: its name, and the tables that its models describe."""


def check_urls(settings: Settings) -> None:
    """Check that the settings have a URL that can be used for every logical database.

    Raises:
        SettingsError: one is missing, is of no logical database, or cannot be used.
    """
    given, known = settings.database_urls, LOGICAL_DATABASES
    problems = [
        f"The logical database {name} has no URL: set {variable('database_urls', name)}."
        for name in known
        if name not in given
    ]
    problems += [
        f"{variable('database_urls', name)} names no logical database of this service, which "
        f"has {', '.join(known)}."
        for name in given
        if name not in known
    ]
    problems += [
        f"{variable('database_urls', name)} is no SQLAlchemy URL that begins with postgresql:// or "
        "postgresql+psycopg://. Write postgresql://user:password@host:5432/database, and @ : / in "
        "the password as %40 %3A %2F."
        for name, url in given.items()
        if name in known and not is_usable(url.get_secret_value())
    ]
    if problems:
        raise SettingsError(" ".join(problems))


def is_usable(url: str) -> bool:
    """Say whether a URL can be read, and means psycopg: the service and migrations share it."""
    try:
        read = make_url(url)
    except (SQLAlchemyError, ValueError):
        return False
    # An @ there is of a password that was not escaped, and errors would show the rest of it.
    is_whole = "@" not in f"{read.host}{read.database}"
    return is_whole and read.drivername in ("postgresql", "postgresql+psycopg")


class Databases:
    """An engine and a session factory for every logical database. They connect when used."""

    def __init__(self, settings: Settings) -> None:
        """Make the engines.

        Raises:
            SettingsError: see `check_urls`.
        """
        check_urls(settings)
        self.engines = {name: make_engine(name, settings) for name in LOGICAL_DATABASES}
        self.sessions = {
            name: async_sessionmaker(engine, expire_on_commit=False)
            for name, engine in self.engines.items()
        }

    async def dispose(self) -> None:
        """Close every connection."""
        for engine in self.engines.values():
            await engine.dispose()


def make_engine(logical: str, settings: Settings) -> AsyncEngine:
    """Make the engine of a logical database."""
    return create_async_engine(
        settings.database_urls[logical].get_secret_value(),
        hide_parameters=True,  # what errors show goes to the log, and rows may hold secrets
        pool_pre_ping=True,  # a server that restarted must not cost a request
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout_seconds,
    )


def session_of(logical: str) -> Callable[[HTTPConnection], AsyncIterator[AsyncSession]]:
    """Make the dependency that gives a route its session; what it does not commit is undone."""

    async def session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
        databases: Databases = connection.app.state.databases
        async with databases.sessions[logical]() as opened:
            yield opened

    return session


MainSession = Annotated[AsyncSession, Depends(session_of("main"))]
<% if cookiecutter.databases == "two" %>
TimeseriesSession = Annotated[AsyncSession, Depends(session_of("timeseries"))]
<% endif %>
