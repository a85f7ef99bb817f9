"""The fixtures, as a plugin of pytest: `-p testdb.fixtures`, before anything imports the service.

run, worker, isolation (testdb/testing/fixtures.py)
    → worker_databases → databases → app → client, session (testdb/adapter.py)
    → service_databases → worker_service → service → http

Fixtures of the same names in a conftest.py or in a test's module come first. A folder that has such
a conftest.py above it gets these back by one of its own:

    from testdb.fixtures import app, client, session

A test that changes the schema has databases of its own by `@pytest.mark.isolation("clone")`.
`client` runs the application's startup, for each test: without it a test does not find the rows
that a startup stores. The service of e2e tests starts once, and its rows go with the first test.
"""

# Fixtures import what they use: tests without databases start without it.

from __future__ import annotations

from contextlib import suppress
from inspect import isasyncgenfunction
from typing import TYPE_CHECKING, Any

import pytest

from testdb import adapter
from testdb.identity.errors import RefusedError
from testdb.testing.isolation import Isolation, IsolationMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from testdb.processes.service import Service
    from testdb.runs.run import DatabaseSet, Run
    from testdb.testing.worker import WorkerDatabases

pytest_plugins = ["testdb.testing.plugin"]


@pytest.fixture(scope="session")
def worker_databases(run: Run, worker: str) -> Iterator[WorkerDatabases]:
    """Have a migrated database for this xdist worker alone."""
    from testdb import engines  # noqa: F401  from here on the service's engines follow
    from testdb.testing.worker import WorkerDatabases

    databases = WorkerDatabases(run, worker)
    yield databases
    databases.close()


@pytest.fixture
def databases(worker_databases: WorkerDatabases, isolation: Isolation) -> Iterator[DatabaseSet]:
    """Have a database for one test: the worker's, put back afterwards, or a clone of its own."""
    with worker_databases.acquire(isolation) as databases:
        yield databases


@pytest.fixture(scope="session")
def worker_app(worker_databases: WorkerDatabases) -> Any:
    """Have the application, one for all tests of this worker."""
    return adapter.load_app()


@pytest.fixture
def app(databases: DatabaseSet, worker_app: Any) -> Iterator[Any]:
    """Use the application. What a test changes of its overrides, config or state is undone."""
    names = ("dependency_overrides", "config")
    attributes = [getattr(worker_app, name, None) for name in names]
    attributes.append(getattr(getattr(worker_app, "state", None), "_state", None))
    kept = [(found, dict(found)) for found in attributes if isinstance(found, dict)]
    yield worker_app
    for found, before in kept:
        found.clear()
        found.update(before)


def _fixture(function: Any) -> Any:
    if isasyncgenfunction(function):
        import pytest_asyncio

        return pytest_asyncio.fixture(function)
    return pytest.fixture(function)


client = _fixture(adapter.client)
adapter_session = _fixture(adapter.session)


@pytest.fixture
def session(adapter_session: Any) -> Any:
    """Read and write over the engine that the service uses.

    Raises:
        RefusedError: it is not PostgreSQL's: what a test commits would stay in a real database.
    """
    from sqlalchemy.exc import UnboundExecutionError

    # It may have an engine for each table, or be no session of SQLAlchemy's, or one of a task.
    with suppress(AttributeError, RuntimeError, UnboundExecutionError):
        name = adapter_session.get_bind().dialect.name
        if name != "postgresql":
            msg = (
                f"The service's session is on {name}, not on PostgreSQL: what a test commits would "
                f"stay there. Have the service take its URL from {adapter.URL_VARIABLE}, or say in "
                "testdb/adapter.py, session, where its sessions on PostgreSQL come from."
            )
            raise RefusedError(msg)
    return adapter_session


@pytest.fixture(scope="session")
def service_databases(run: Run, worker: str) -> Iterator[WorkerDatabases]:
    """Have a database that only the service in a process of its own uses."""
    from testdb.testing.worker import WorkerDatabases

    databases = WorkerDatabases(run, worker, role=f"{worker} e2e", is_served=True)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def worker_service(service_databases: WorkerDatabases) -> Iterator[Service]:
    """Run the service in a process of its own, once for all tests of this worker."""
    from testdb.processes.service import start_service

    with start_service(service_databases.databases) as service:
        yield service


@pytest.fixture
def service(
    worker_service: Service, service_databases: WorkerDatabases, isolation: Isolation
) -> Iterator[Service]:
    """Use the service; what it stores for the test is gone afterwards. A clone has its own."""
    from testdb.processes.service import start_service

    with service_databases.acquire(isolation) as databases:
        if isolation.mode is IsolationMode.CLONE:
            with start_service(databases) as service:
                yield service
        else:
            yield worker_service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """Call the service over the network."""
    from testdb.processes.service import client_of

    with client_of(service) as client:
        yield client
