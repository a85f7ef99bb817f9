"""Processes to do the worst to: one that uses testdb as told, and a look at all that are alive."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from harness.environment import Environment

REMOTE: Final = Path(__file__).with_name("remote.py")
MARK: Final = "CHAOS_RUN"
"""A variable that every process of a run inherits, whoever becomes its parent."""
GONE_SECONDS: Final = 10.0
"""How long anything may outlive its run, or take that should take no time."""


class RefusedByTestdbError(AssertionError):
    """The process refused to do as it was told; the message is the one that a person gets."""


class Process:
    """A process that uses a baked project's testdb, and does as it is told."""

    def __init__(
        self,
        environment: Environment,
        project: Path,
        env: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        """Start it, through a program that changes what it inherits if need be."""
        self.popen = subprocess.Popen(
            [*through, environment.python, REMOTE],
            cwd=project,
            env=environment.variables(project, env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def tell(self, do: str, **arguments: Any) -> None:  # noqa: ANN401  whatever JSON can say
        """Tell it what to do, without waiting for it."""
        assert self.popen.stdin
        self.popen.stdin.write(json.dumps([do, arguments]) + "\n")
        self.popen.stdin.flush()

    def has_answered(self, seconds: float = 0) -> bool:
        """Tell whether it has done what it was told."""
        return bool(select.select([self.popen.stdout], [], [], seconds)[0])

    def answer(self) -> Any:  # noqa: ANN401
        """Wait until it has done what it was told.

        Raises:
            RefusedByTestdbError: it refused.
        """
        assert self.popen.stdout
        line = self.popen.stdout.readline()
        assert line, f"the process ended with exit code {self.popen.wait()}"
        answer = json.loads(line)
        if "refused" in answer:
            raise RefusedByTestdbError(answer["refused"])
        return answer["result"]

    def ask(self, do: str, **arguments: Any) -> Any:  # noqa: ANN401
        """Tell it what to do, and wait for it."""
        self.tell(do, **arguments)
        return self.answer()

    def kill(self) -> None:
        """Kill it, as nobody expects."""
        self.popen.kill()
        self.popen.wait()

    def close(self) -> None:
        """Let it end by itself."""
        assert self.popen.stdin
        assert self.popen.stdout
        with suppress(BrokenPipeError):
            self.popen.stdin.close()
        try:
            self.popen.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.popen.stdout.close()


@contextmanager
def processes(
    environment: Environment, project: Path, count: int, env: Mapping[str, str] | None = None
) -> Iterator[list[Process]]:
    """Have so many of them until the context ends."""
    made = [Process(environment, project, env) for _ in range(count)]
    try:
        yield made
    finally:
        for process in made:
            process.close()


def wait_until(happened: Callable[[], object], what: str, seconds: float = GONE_SECONDS) -> None:
    """Wait until something has happened.

    Raises:
        AssertionError: it did not.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.02)


def living(mark: str) -> dict[int, str]:
    """Find the processes that inherited a mark; zombies are none."""
    wanted, found = f"{MARK}={mark}".encode(), {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(path.name)] = command.decode(errors="replace")
    return found


def children(pid: int) -> list[int]:
    """List the living children of a process."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def kill(pid: int) -> None:
    """Kill a process that may have gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
