"""The logical databases of the service, and the engines and session factories over them.

To add a logical database: a base class and a row in LOGICAL_DATABASES, a folder in migrations/.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Final

from fastapi import Depends
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from starlette.requests import HTTPConnection

from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings

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


class Databases:
    """An engine and a session factory for every logical database. They connect when used."""

    def __init__(self, settings: Settings) -> None:
        """Make the engines.

        Raises:
            LookupError: the settings lack the URL of a logical database.
        """
        missing = LOGICAL_DATABASES.keys() - settings.database_urls.keys()
        if missing:
            variables = ", ".join(
                sorted(f"{ENV_PREFIX}DATABASE_URLS__{name.upper()}" for name in missing)
            )
            msg = f"No URL for the logical database {', '.join(sorted(missing))}. Set {variables}."
            raise LookupError(msg)
        self.engines = {
            # A server that restarted must not cost a request: a dead connection is replaced.
            name: create_async_engine(
                settings.database_urls[name].get_secret_value(), pool_pre_ping=True
            )
            for name in LOGICAL_DATABASES
        }
        self.sessions = {
            name: async_sessionmaker(engine, expire_on_commit=False)
            for name, engine in self.engines.items()
        }

    async def dispose(self) -> None:
        """Close every connection."""
        for engine in self.engines.values():
            await engine.dispose()


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
