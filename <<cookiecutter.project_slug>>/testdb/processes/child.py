"""Child processes that end with their parent: the service, and examples.

The parent holds the other end of the child's standard input. When the parent dies, by kill -9 too,
that input ends, and the child ends itself.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from testdb.identity.project import ROOT
from testdb.processes import reports

CLEANUP_SECONDS: Final = 5.0
"""How long a child may clean up after SIGTERM or its parent's death, before it is killed."""
TAIL_BYTES: Final = 20_000
"""How much of a child's output is read again."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. It is a KeyboardInterrupt so that libraries treat it as Ctrl-C."""


TERMINATING: Final = (signal.SIGTERM, signal.SIGHUP)
"""The second comes when the terminal is closed."""
TERMINATED: Final = 128 + signal.SIGTERM
"""The exit code of a program that SIGTERM has ended, as shells spell it."""


@contextmanager
def spawn(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: int,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments in a child process, stopped when the context ends.

    Args:
        arguments: what follows `python` on its command line. Everybody can see them.
        environment: all of its environment.
        output: the file descriptor that takes what it and its own children write.
        pass_fds: the file descriptors that it inherits.
    """
    its_end, our_end = os.pipe()
    with os.fdopen(our_end, "wb"):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=its_end,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        os.close(its_end)
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a child: SIGTERM, and SIGKILL if that takes too long. Then kill what it has left."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLEANUP_SECONDS)
    with suppress(ProcessLookupError, PermissionError):  # none left, or on macOS only dead ones
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """Say how a child ended."""
    if process.returncode < 0:
        return f"was killed by {signal.Signals(-process.returncode).name}"
    return f"ended with exit code {process.returncode}"


def tail(output: int) -> list[str]:
    """Read the last lines of a file that children write to, without moving their place in it."""
    start = max(0, os.fstat(output).st_size - TAIL_BYTES)
    return os.pread(output, TAIL_BYTES, start).decode(errors="replace").splitlines()


def _wait_for_the_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass


def end_with_parent(wait_for_its_end: Callable[[], None] = _wait_for_the_end_of_input) -> None:
    """In the child: end by SIGTERM when the parent has ended, by force if that takes long.

    Args:
        wait_for_its_end: waits for the end of a parent that has not used `spawn`.
    """

    def watch() -> None:
        wait_for_its_end()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(CLEANUP_SECONDS)
        os._exit(TERMINATED)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def terminate_in_order() -> None:
    """Have these signals raise Terminated, so that every context is left in order."""
    for number in TERMINATING:
        signal.signal(number, _raise_terminated)


def _raise_terminated(_signum: int, _frame: FrameType | None) -> NoReturn:
    for number in TERMINATING:  # once
        signal.signal(number, signal.SIG_IGN)
    raise Terminated


def main() -> None:
    """Run a script as a child: `python -m testdb.processes.child SCRIPT [ARGUMENTS]`."""
    reports.show_errors_in_short()
    terminate_in_order()
    end_with_parent()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
