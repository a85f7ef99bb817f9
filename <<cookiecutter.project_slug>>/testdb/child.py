"""Child processes that end with their parent: the service, and examples that somebody runs for us.

The parent holds the other end of the child's standard input. When the parent dies, by kill -9 too,
that input ends, and the child ends itself.
"""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, Final, NoReturn

from testdb.project import ROOT

CLEANUP_SECONDS: Final = 5.0
"""How long a child may clean up after SIGTERM or its parent's death, before it is killed."""
OUTPUT_LINES: Final = 100
"""How much of a child's output is shown."""


@dataclass(frozen=True)
class Child:
    """A running child, and what it has said."""

    process: subprocess.Popen[bytes]
    _output: IO[bytes]

    def output(self) -> str:
        """Read the end of what the child and its own children have said so far."""
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-OUTPUT_LINES:])

    def stop(self) -> None:
        """Stop the child and its process group: SIGTERM, and SIGKILL if that takes too long."""
        for request, patience in ((signal.SIGTERM, CLEANUP_SECONDS), (signal.SIGKILL, None)):
            if self.process.poll() is None:
                os.killpg(self.process.pid, request)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience)


@contextmanager
def running(
    arguments: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> Iterator[Child]:
    """Run Python with these arguments in a child process, stopped when the context ends.

    Its output goes to a file without a name, which vanishes with us.
    """
    its_end, our_end = os.pipe()
    with tempfile.TemporaryFile() as output, os.fdopen(our_end, "wb"):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=its_end,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        os.close(its_end)
        child = Child(process, output)
        try:
            yield child
        finally:
            child.stop()


def end_with_parent() -> None:
    """In the child: end by SIGTERM when the standard input ends, by force if that takes long."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(CLEANUP_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def leave(signum: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal by an exception, so that every context is left in order."""
    sys.exit(128 + signum)


def main() -> None:
    """Run a script as a child: `python -m testdb.child SCRIPT [ARGUMENTS]`."""
    signal.signal(signal.SIGTERM, leave)
    end_with_parent()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
