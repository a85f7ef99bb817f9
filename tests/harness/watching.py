"""Watch processes: wait for them, find those that live, kill them."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

MARK: Final = "TEST_RUN"
"""A variable that every process of a run inherits, whoever becomes its parent."""
GONE_SECONDS: Final = 10.0
"""How long anything may outlive its run, or take that should take no time."""


def wait_until(happened: Callable[[], object], what: str, seconds: float = GONE_SECONDS) -> None:
    """Wait until something has happened.

    Raises:
        AssertionError: it did not.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.02)


def wait_until_gone(mark: str) -> None:
    """Wait until no process lives that inherited this value of MARK.

    Raises:
        AssertionError: some live on; it names them.
    """
    deadline = time.monotonic() + GONE_SECONDS
    while alive := living(mark):
        assert time.monotonic() < deadline, f"after {GONE_SECONDS:g} s these live on: {alive}"
        time.sleep(0.02)


def living(mark: str, variable: str = MARK) -> dict[int, str]:
    """Find the processes that inherited a mark in a variable; zombies are none."""
    wanted, found = f"{variable}={mark}".encode(), {}
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
