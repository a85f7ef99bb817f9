"""The service from outside: a child process for each worker, on databases of its own."""

from collections.abc import Iterator

import httpx
import pytest

from testdb.processes.service import Service, client_of, start_service
from testdb.runs.run import Run
from testdb.testing.isolation import Isolation, IsolationMode
from testdb.testing.worker import WorkerDatabases


@pytest.fixture(scope="session")
def service_databases(run: Run, worker: str) -> Iterator[WorkerDatabases]:
    """Have databases that only the service uses."""
    databases = WorkerDatabases(run, worker, role=f"{worker} e2e", is_served=True)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def worker_service(service_databases: WorkerDatabases) -> Iterator[Service]:
    """Run the service once for all tests of this worker."""
    with start_service(service_databases.databases) as service:
        yield service


@pytest.fixture
def service(
    worker_service: Service, service_databases: WorkerDatabases, isolation: Isolation
) -> Iterator[Service]:
    """Use the service; what it stores for the test is gone afterwards. A clone has its own."""
    with service_databases.acquire(isolation) as databases:
        if isolation.mode is IsolationMode.CLONE:
            with start_service(databases) as service:
                yield service
        else:
            yield worker_service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """Call the service over the network."""
    with client_of(service) as client:
        yield client
