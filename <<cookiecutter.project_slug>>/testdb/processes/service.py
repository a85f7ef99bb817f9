"""The service in a child process: on a free port, over its own databases, gone with its parent."""

# httpx is imported when the child has been started: both then import at the same time.

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Final

from testdb.adapter import HEALTH, environment, mismatch
from testdb.identity.errors import LifecycleError
from testdb.postgres.embedded.server import LOOPBACK
from testdb.processes import child, reports

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    import httpx

    from testdb.runs.run import DatabaseSet

RELOAD: Final = "--reload"
"""Has the child start the service anew when its code changes."""
LOG_TITLE: Final = "The service's log"
START_SECONDS: Final = 30.0
"""How long the service may take until it answers. Seen on 2 cores: 0.8 s."""


@dataclass(frozen=True)
class Service:
    """A service that answers."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def start_service(
    databases: DatabaseSet, log: int | None = None, *, port: int = 0, reload: bool = False
) -> Iterator[Service]:
    """Run the service over these databases until the context ends.

    Args:
        databases: which ones.
        log: the file descriptor that takes the service's log. Without it, an exception that
            leaves the context gets the problems at the end of the log as a note.
        port: where it listens, on 127.0.0.1; 0 is any that is free.
        reload: start it anew whenever its code changes. Nobody waits until it answers then: the
            code may be of no use yet.

    Raises:
        LifecycleError: it cannot have the port, or does not start; its log says why.
    """
    # Bound here and handed over, so that nobody can take the port in between. It listens already:
    # a request waits until the service answers it, and fails when the service dies.
    with _listen(port) as listening, tempfile.TemporaryFile() as kept_log:
        fd = listening.fileno()
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        with child.spawn(
            ["-m", "testdb.processes.serve", str(fd), *([RELOAD] if reload else [])],
            os.environ | environment(databases.urls),
            output=kept_log.fileno() if log is None else log,
            pass_fds=[fd],
        ) as process:
            listening.close()
            try:
                if not reload:
                    _wait_until_it_answers(url, process)
                yield Service(url, process)
            except BaseException as error:
                if log is None:
                    child.stop(process)
                    if problems := reports.problems(child.tail(kept_log.fileno())):
                        error.add_note(f"{LOG_TITLE}:\n{problems}")
                raise


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "there is none"
        msg = f"The service cannot have port {port}: {why}. Without --port it finds a free one."
        raise LifecycleError(msg) from None


def client_of(service: Service) -> httpx.Client:
    """Make a client to call the service."""
    import httpx

    return httpx.Client(base_url=service.url, timeout=30, trust_env=False)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    import httpx

    try:
        answer = httpx.get(f"{url}{HEALTH}", timeout=START_SECONDS, trust_env=False)
    except httpx.TimeoutException:
        msg = f"The service did not answer within {START_SECONDS:g} s."
        raise LifecycleError(msg) from None
    except httpx.TransportError:
        with suppress(TimeoutExpired):  # its socket closes before it has quite gone
            process.wait(child.CLEANUP_SECONDS)
        how = "hung up" if process.returncode is None else child.how_it_ended(process)
        msg = f"The service {how} before it answered."
        with suppress(Exception):  # a service that cannot be imported has said why in its log
            msg = mismatch() or msg
        raise LifecycleError(msg) from None
    if answer.is_error:
        msg = f"The service answered its first request with {answer.status_code}."
        raise LifecycleError(msg)
