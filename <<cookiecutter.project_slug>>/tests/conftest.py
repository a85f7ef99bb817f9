"""The chain that every database test hangs on.

run and worker (from testdb/plugin.py) → worker_databases → worker_app → app → client, session
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.settings import Settings

from testdb import isolation
from testdb.ownership import Kind
from testdb.runs import DatabaseSet, Run

pytest_plugins = ["testdb.plugin"]


@pytest.fixture(scope="session")
def worker_databases(run: Run, worker: str) -> Iterator[DatabaseSet]:
    """Have a migrated database for every logical database, for this xdist worker alone."""
    with run.databases(worker, Kind.WORKER) as databases:
        yield databases


@pytest.fixture(scope=isolation.loop_scope)
async def worker_app(worker_databases: DatabaseSet) -> AsyncIterator[FastAPI]:
    """Run the service over this worker's databases, as long as the event loop lives."""
    urls = {
        name: url.render_as_string(hide_password=False)
        for name, url in worker_databases.urls.items()
    }
    app = create_app(Settings(database_urls={name: SecretStr(url) for name, url in urls.items()}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def app(worker_app: FastAPI) -> AsyncIterator[FastAPI]:
    """Use the service; whatever the test does through it is undone at its end."""
    async with isolation.rollback(worker_app.state.databases):
        yield worker_app
    worker_app.dependency_overrides.clear()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Call the service over HTTP, in this process."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
        yield client


@pytest.fixture
async def session(app: FastAPI) -> AsyncIterator[AsyncSession]:
    """Talk to the database `main` through the factory that the routes use."""
    async with app.state.databases.sessions["main"]() as session:
        yield session
