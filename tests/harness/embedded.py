"""The embedded servers that baked projects start: where they live, and how they end."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final

MEMORY: Final = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
ENOUGH_BYTES: Final = 2 * 2**30
"""Room for some twenty servers; containers often have 64 MB there, which is not enough for one."""
REACHABLE: Final = 0o711
"""The permissions of a directory that the account which root's server runs as gets through."""
END_SECONDS: Final = 10.0
"""How long a server may take to shut down."""


@contextmanager
def homes() -> Iterator[Path]:
    """Have a directory for servers, in memory if there is room: there databases are made faster.

    At the end servers that still run are shut down, and all their data is removed.
    """
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES
    with TemporaryDirectory(prefix="testdb-tests-", dir=MEMORY if in_memory else None) as made:
        path = Path(made)
        path.chmod(REACHABLE)
        try:
            yield path
        finally:
            for home in path.iterdir():
                stop(home)


def new_home(homes: Path) -> Path:
    """Make a directory for one project's server: a value of TESTDB_HOME."""
    home = Path(mkdtemp(dir=homes))
    home.chmod(REACHABLE)
    return home


def stop(home: Path) -> None:
    """Shut down the server that TESTDB_HOME led to, if it runs.

    Raises:
        AssertionError: it does not end.
    """
    deadline = time.monotonic() + END_SECONDS
    while (pid := postmaster(home)) and os.fsencode(home) in command_of(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        assert time.monotonic() < deadline, f"the server in {home} does not end"
        time.sleep(0.02)


def postmaster(home: Path) -> int | None:
    """Read the process id of a server; None if it has ended.

    If it was killed, the process of that id may be another.
    """
    for pid_file in home.glob("*/data-*/postmaster.pid"):
        with suppress(FileNotFoundError, IndexError):
            return int(pid_file.read_text().split()[0])
    return None


def command_of(pid: int) -> bytes:
    """Read the command line of a process; empty if it has ended, or is a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
