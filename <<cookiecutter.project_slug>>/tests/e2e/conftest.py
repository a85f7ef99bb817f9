"""The service from outside: a child process for each worker, on databases of its own."""

from collections.abc import Iterator

import httpx
import pytest

from testdb.identity.disposable import Kind
from testdb.processes.service import Service, start_service
from testdb.runs.run import Run


@pytest.fixture(scope="session")
def service(run: Run, worker: str) -> Iterator[Service]:
    """Run the service once for all tests of this worker: they share what they store."""
    with (
        run.databases(worker, Kind.WORKER, role=f"{worker} e2e") as databases,
        start_service(databases) as service,
    ):
        yield service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """Call the service over the network."""
    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client:
        yield client
