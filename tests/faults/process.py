"""Processes that use a baked project's testdb as a test tells them, and may be killed any time."""

import json
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from harness.project import Project, Variables
from harness.watching import GONE_SECONDS, kill

REMOTE: Final = Path(__file__).with_name("remote.py")

Processes = Callable[..., AbstractContextManager[list["Process"]]]
"""The fixture `processes`."""


class RefusedByTestdbError(AssertionError):
    """The process refused to do as it was told; the message is the one that a person gets."""


class Process:
    """A process that uses a baked project's testdb, and does as it is told over a socket."""

    def __init__(self, ours: socket.socket, variables: Variables) -> None:
        """Set its variables; `ours` is our end of its socket."""
        self._socket = ours
        self._lines = ours.makefile("rw")
        self.pid: int = self.ask("become", variables=dict(variables))

    def __enter__(self) -> Self:
        """Use it until the context ends."""
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Let it end by itself; kill it if it does not, and where the test has failed already."""
        self._socket.shutdown(socket.SHUT_WR)
        if failure or not self._has_ended(GONE_SECONDS):
            self.kill()
        self._lines.close()
        self._socket.close()

    def tell(self, do: str, **arguments: Any) -> None:  # noqa: ANN401  whatever JSON can say
        """Tell it what to do, without waiting for it."""
        self._lines.write(json.dumps([do, arguments]) + "\n")
        self._lines.flush()

    def has_answered(self, seconds: float = 0) -> bool:
        """Tell whether it has done what it was told, or has ended."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def answer(self) -> Any:  # noqa: ANN401
        """Wait until it has done what it was told.

        Raises:
            RefusedByTestdbError: it refused.
        """
        line = self._lines.readline()
        assert line, "the process ended without an answer"
        answer = json.loads(line)
        if "refused" in answer:
            raise RefusedByTestdbError(answer["refused"])
        return answer["result"]

    def ask(self, do: str, **arguments: Any) -> Any:  # noqa: ANN401
        """Tell it what to do, and wait for it."""
        self.tell(do, **arguments)
        return self.answer()

    def kill(self) -> list[str]:
        """Kill it, as nobody expects; returns the lines that it had written and nobody read."""
        kill(self.pid)
        with suppress(ConnectionResetError):
            return self._lines.readlines()
        return []

    def _has_ended(self, seconds: float) -> bool:
        """Wait for the end of what it writes: the kernel closes its socket when it dies."""
        deadline = time.monotonic() + seconds
        while self.has_answered(max(0, deadline - time.monotonic())):
            with suppress(ConnectionResetError):
                if self._socket.recv(65536):
                    continue
            return True
        return False


class ForkServer:
    """A process that has imported testdb and forks others: 10 ms each, where a start takes 1 s."""

    def __init__(self, project: Project, through: Sequence[str]) -> None:
        """Start it, through a program that changes its user or its umask if need be."""
        self._project = project
        self._control, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [*through, project.environment.python, REMOTE, str(theirs.fileno())],
                cwd=project.path,
                env=project.variables(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, variables: Variables) -> Process:
        """Have one more process, with these variables."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"1"], [theirs.fileno()])
        return Process(ours, variables)

    def close(self) -> None:
        """Let it end; what it forked goes on."""
        self._control.close()
        self._popen.wait(GONE_SECONDS)


@contextmanager
def fork_server(project: Project, *through: str) -> Iterator[ForkServer]:
    """Have a fork server until the context ends, started through another program if need be."""
    server = ForkServer(project, through)
    try:
        yield server
    finally:
        server.close()
