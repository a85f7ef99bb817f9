"""The chain that every database test hangs on.

run, worker, isolation (testdb/testing/fixtures.py)
    → worker_databases → databases → app → client, sessions → session
"""

# Fixtures import what they use, and annotations nothing: unit tests start without it.

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from testdb.adapter import create_app, settings, unchanged
from testdb.testing.fixtures import loop_scope
from testdb.testing.isolation import Isolation, IsolationMode, as_service
from testdb.testing.lifespan import with_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from fastapi import FastAPI
    from httpx import AsyncClient
    from sqlalchemy import Executable, Row
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

    from testdb.runs.run import DatabaseSet, Run
    from testdb.testing.worker import WorkerDatabases


def pytest_configure(config: pytest.Config) -> None:
    """Shuffle alike for each group of `--splits`: else some tests run twice, and others never."""
    if config.getoption("splits", None) and config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = 1


@pytest.fixture(scope="session")
def worker_databases(run: Run, worker: str) -> Iterator[WorkerDatabases]:
    """Have a migrated database for every logical database, for this xdist worker alone."""
    from testdb.testing.worker import WorkerDatabases

    databases = WorkerDatabases(run, worker)
    yield databases
    databases.close()


@pytest.fixture
def databases(worker_databases: WorkerDatabases, isolation: Isolation) -> Iterator[DatabaseSet]:
    """Have databases for one test: the worker's, put back afterwards, or clones of its own."""
    with worker_databases.acquire(isolation) as databases:
        yield databases


@asynccontextmanager
async def lifespan_of(databases: DatabaseSet) -> AsyncIterator[FastAPI]:
    """Run the service in this process and event loop, with its lifespan."""
    app = create_app(settings(databases.urls))
    async with AsyncExitStack() as stack:
        with as_service():
            state = await stack.enter_async_context(app.router.lifespan_context(app))
        app.add_middleware(with_state, state=state or {})
        yield app


@pytest.fixture(scope=loop_scope)
async def worker_app(worker_databases: WorkerDatabases) -> AsyncIterator[FastAPI]:
    """Run the service over the worker's databases for as long as the event loop lives."""
    async with lifespan_of(worker_databases.databases) as app:
        yield app


@pytest.fixture
async def app(
    databases: DatabaseSet,  # ends after the app, whose last writes are undone too
    worker_app: FastAPI,
    worker_databases: WorkerDatabases,
    isolation: Isolation,
) -> AsyncIterator[FastAPI]:
    """Use the service; a clone has one of its own. Whatever the test does to it is undone."""
    if isolation.mode is IsolationMode.CLONE:
        async with lifespan_of(databases) as app:
            with unchanged(app):
                yield app
    else:
        with unchanged(worker_app):
            yield worker_app
        await worker_databases.clean()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Call the service over HTTP."""
    from httpx import ASGITransport, AsyncClient

    async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
        yield client


@pytest.fixture
async def sessions(app: FastAPI) -> AsyncIterator[Mapping[str, AsyncSession]]:
    """Talk to every logical database through the factory that the routes use; each by its name."""
    factories = app.state.databases.sessions
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(new()) for name, new in factories.items()}


@pytest.fixture
def session(sessions: Mapping[str, AsyncSession]) -> AsyncSession:
    """Talk to the database `main`."""
    return sessions["main"]


@pytest.fixture
def sync_session(worker_databases: WorkerDatabases, databases: DatabaseSet) -> Iterator[Session]:
    """Talk to the database `main` in a test that is not async."""
    from sqlalchemy.orm import Session

    with Session(worker_databases.engines.of(databases.urls["main"])) as session:
        yield session


@pytest.fixture
def fetch_rows(app: FastAPI) -> Callable[..., Awaitable[Sequence[Row[Any]]]]:
    """Read rows past every cache, to assert what a database really holds: that of `logical`."""
    engines: Mapping[str, AsyncEngine] = app.state.databases.engines

    async def fetch(statement: Executable, *, logical: str = "main") -> Sequence[Row[Any]]:
        async with engines[logical].connect() as connection:
            return (await connection.execute(statement)).all()

    return fetch
