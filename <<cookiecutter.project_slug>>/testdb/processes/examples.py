"""What an example calls first, and how examples are found and run with nothing left behind."""

# What lists the examples starts without what runs them: see the imports in the functions.

from __future__ import annotations

import ast
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testdb.identity.names import field
from testdb.identity.project import ROOT
from testdb.processes import child, reports
from testdb.processes.service import LOG_TITLE, client_of, start_service
from testdb.runs import environment

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    import httpx

    from testdb.postgres.catalog import Entry
    from testdb.runs.run import Run

EXAMPLES: Final = ROOT / "examples"
TIMEOUT_SECONDS: Final = 60.0
"""How long an example may take unless told otherwise."""
POLL_SECONDS: Final = 0.02
OUTPUT_LINES: Final = 100
"""How much of an example's output is shown."""
LOG_VARIABLE: Final = "TESTDB_SERVICE_LOG"
"""`run_example` gives an example a file for the service's log: the number of its descriptor."""


@contextmanager
def service_client(example: str) -> Iterator[httpx.Client]:
    """Have the service over fresh databases, and a client to call it, until the context ends.

    Programs that the example starts have the same databases. If it fails, its own lines are shown.

    Args:
        example: the `__file__` of the example, whose databases these are.

    Raises:
        LifecycleError: there is no server, the migrations fail, or the service does not start.
    """
    from testdb.identity.disposable import Kind
    from testdb.runs.run import start

    reports.show_errors_in_short()
    log = os.environ.get(LOG_VARIABLE)
    itself = Example(Path(example))
    with (
        start() as run,
        run.databases(itself.name, Kind.EXAMPLE, role=itself.role) as databases,
        environment.pointing_to(databases.urls),
        start_service(databases, int(log) if log else None) as service,
        client_of(service) as client,
    ):
        yield client


@dataclass(frozen=True)
class Example:
    """A script in examples/ that a person can run alone."""

    path: Path

    @property
    def name(self) -> str:
        """What people call it: `users` for example_users.py."""
        return self.path.stem.removeprefix("example_")

    @property
    def role(self) -> str:
        """Stands in the names of its databases, and is no worker's or template's."""
        return f"ex {self.name}"

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        try:
            code = ast.parse(self.path.read_text(encoding="utf-8"), self.path.name)
        except (SyntaxError, ValueError) as error:
            return f"cannot be read: {error}"
        return (ast.get_docstring(code) or "").partition("\n")[0]

    def matches(self, words: list[str]) -> bool:
        """Tell whether one of these is its name, or a kind: a word of its name."""
        return not {self.name, *self.name.split("_")}.isdisjoint(words)


@dataclass(frozen=True)
class Result:
    """What became of one example."""

    example: Example
    problem: str | None
    """None if all went well."""
    seconds: float
    output: str
    service_log: str
    """Its problems alone: see `reports.problems`."""

    def report(self) -> str:
        """Say what became of it, and show what led there if that is a problem."""
        if self.problem is None:
            return f"{self.example.name} passed in {self.seconds:.1f} s"
        said = f"{self.example.name} {self.problem}"
        for title, text in (("It wrote", self.output), (LOG_TITLE, self.service_log)):
            if text:
                said += f"\n{title}:\n{text}"
        return said


def find() -> list[Example]:
    """Find every example: a new file is found without being listed anywhere."""
    return [Example(path) for path in sorted(EXAMPLES.glob("example_*.py"))]


def run_example(
    example: Example,
    run: Run,
    *,
    timeout: float = TIMEOUT_SECONDS,
    interrupted: threading.Event | None = None,
) -> Result:
    """Run an example as a part of this run, and drop what it leaves behind.

    Args:
        example: which one.
        run: whose databases the example's are; they cannot outlive it.
        timeout: seconds until it is stopped.
        interrupted: once this is set, it is stopped too.
    """
    from testdb.runs.run import RUN_ID_VARIABLE

    started = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        environment = {
            **os.environ,
            RUN_ID_VARIABLE: run.id,
            LOG_VARIABLE: str(log.fileno()),
            "PYTHONUNBUFFERED": "1",
        }
        with child.spawn(
            ["-m", "testdb.processes.child", str(example.path)],
            environment,
            output=output.fileno(),
            pass_fds=[log.fileno()],
        ) as process:
            problem = _watch(process, timeout, interrupted or threading.Event())
        left = _drop_leftovers(run, process.pid, example)
        if left:
            problem = f"{problem or 'passed'}, and left {', '.join(left)} behind"
        return Result(
            example,
            problem,
            time.monotonic() - started,
            "\n".join(child.tail(output.fileno())[-OUTPUT_LINES:]),
            reports.problems(child.tail(log.fileno())),
        )


def _watch(
    process: subprocess.Popen[bytes], timeout: float, interrupted: threading.Event
) -> str | None:
    """Wait until a child ends; returns what went wrong."""
    deadline = time.monotonic() + timeout
    while process.poll() is None:
        if interrupted.wait(POLL_SECONDS):
            return "was interrupted"
        if time.monotonic() > deadline:
            return f"hung: it was stopped after {timeout:g} s"
    return child.how_it_ended(process) if process.returncode else None


def _drop_leftovers(run: Run, pid: int, example: Example) -> list[str]:
    """Drop what an example left: by the pid in the marker, or by the name if there is no marker."""

    def is_leftover(entry: Entry) -> bool:
        marker = entry.proven.marker
        return entry.proven.name.role == field(example.role) or (
            marker is not None and marker.pid == pid
        )

    left = [entry for entry in run.entries() if is_leftover(entry)]
    for entry in left:
        run.drop_leftover(entry)
    return [entry.name for entry in left]
