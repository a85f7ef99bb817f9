"""The service in a child process: on a free port, over its own databases, gone with its parent."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from testdb import child, runs
from testdb.child import Child
from testdb.errors import LifecycleError
from testdb.link import ENV_PREFIX
from testdb.ownership import Kind
from testdb.runs import DatabaseSet

START_SECONDS: Final = 30.0
"""How long the service may take until it answers. Seen on 2 cores: 0.8 s."""


@dataclass(frozen=True)
class Service:
    """A service that answers."""

    url: str
    child: Child


@contextmanager
def serving(databases: DatabaseSet) -> Iterator[Service]:
    """Run the service over these databases until the context ends.

    An exception that leaves the context gets the service's log as a note.

    Raises:
        LifecycleError: the service does not start; its log says why.
    """
    # Bound here and handed over, so that nobody can take the port in between. It listens already:
    # a request waits until the service answers it, and fails when the service dies.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with child.running(
            ["-m", "testdb.serve", str(fd)], _environment(databases), [fd]
        ) as server:
            listening.close()
            try:
                _wait_until_it_answers(url, server)
                yield Service(url, server)
            except BaseException as error:
                server.stop()
                error.add_note(f"The service's log ends with:\n{server.output()}")
                raise


@contextmanager
def fresh_service(name: str) -> Iterator[httpx.Client]:
    """Have the service over fresh databases, and a client to call it, until the context ends.

    Args:
        name: says in `db.list` whose databases these are.

    Raises:
        LifecycleError: there is no server, the migrations fail, or the service does not start.
    """
    with (
        runs.start() as run,
        run.databases(name, Kind.EXAMPLE) as databases,
        serving(databases) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        yield client


def _environment(databases: DatabaseSet) -> dict[str, str]:
    """Hide the settings of this environment, which may be a real deployment's, from the service."""
    others = {key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)}
    return {**others, **databases.environment()}


def _wait_until_it_answers(url: str, server: Child) -> None:
    try:
        answer = httpx.get(f"{url}/health", timeout=START_SECONDS)
    except httpx.TransportError as error:
        code = server.process.poll()
        how = f"did not answer ({error})" if code is None else f"ended with exit code {code}"
        msg = f"The service {how} at its start."
        raise LifecycleError(msg) from None
    if answer.is_error:
        msg = f"The service answered its first request with {answer.status_code}."
        raise LifecycleError(msg)
