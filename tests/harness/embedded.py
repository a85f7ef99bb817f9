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
ENOUGH_BYTES: Final = 4 * 2**30
"""Room for forty servers of 100 MB; containers often have 64 MB there, not enough for one."""
REACHABLE: Final = 0o711
"""Permissions of a directory that lets the account pass which root's server runs as."""
END_SECONDS: Final = 10.0
"""How long a server may take to shut down."""


@contextmanager
def homes() -> Iterator[Path]:
    """Have a directory for servers, in memory if there is room: there databases are made faster.

    At the end servers that still run are shut down, and all their data is removed.
    """
    memory = MEMORY if _can_hold_servers(MEMORY) else None
    with TemporaryDirectory(prefix="testdb-tests-", dir=memory) as made:
        path = Path(made)
        path.chmod(REACHABLE)
        try:
            yield path
        finally:
            for home in path.iterdir():
                stop(home)


def _can_hold_servers(directory: Path) -> bool:
    """Tell whether servers fit in a directory, and may run the programs that they copy there."""
    if not os.access(directory, os.W_OK):
        return False
    has_room = shutil.disk_usage(directory).free >= ENOUGH_BYTES
    return has_room and not os.statvfs(directory).f_flag & os.ST_NOEXEC


def new_home(homes: Path) -> Path:
    """Make a directory for one project's server: a value of TESTDB_HOME."""
    home = Path(mkdtemp(dir=homes))
    home.chmod(REACHABLE)
    return home


def stop(home: Path) -> None:
    """Shut down the servers that TESTDB_HOME led to, one for each checkout, if they run.

    Raises:
        AssertionError: one does not end.
    """
    deadline = time.monotonic() + END_SECONDS
    while running := [pid for pid in postmasters(home) if os.fsencode(home) in command_of(pid)]:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        assert time.monotonic() < deadline, f"servers in {home} do not end: {running}"
        time.sleep(0.02)


def postmasters(home: Path) -> list[int]:
    """Read the process ids of the servers there.

    If one was killed, the process of that id may be another.
    """
    found = []
    for pid_file in home.glob("*/data-*/postmaster.pid"):
        with suppress(FileNotFoundError, IndexError):
            found.append(int(pid_file.read_text().split()[0]))
    return found


def command_of(pid: int) -> bytes:
    """Read the command line of a process; empty if it has ended, or is a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
