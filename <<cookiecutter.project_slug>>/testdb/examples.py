"""Find the examples and run them, each in a process of its own, with nothing left behind."""

import ast
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testdb import child, lifecycle, runs
from testdb.names import field
from testdb.project import ROOT
from testdb.runs import Run

EXAMPLES: Final = ROOT / "examples"
TIMEOUT_SECONDS: Final = 60.0
"""How long an example may take unless told otherwise."""


@dataclass(frozen=True)
class Result:
    """What became of one example."""

    name: str
    problem: str | None
    """None if all went well."""
    seconds: float
    output: str


@dataclass(frozen=True)
class Example:
    """A script in examples/ that a person can run alone."""

    path: Path

    @property
    def name(self) -> str:
        """What people call it: `users` for example_users.py."""
        return self.path.stem.removeprefix("example_")

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        docstring = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8")))
        return (docstring or "").partition("\n")[0]


def find() -> list[Example]:
    """Find every example: a new file is found without being listed anywhere."""
    return [Example(path) for path in sorted(EXAMPLES.glob("example_*.py"))]


def run_example(example: Example, run: Run, *, timeout: float = TIMEOUT_SECONDS) -> Result:
    """Run an example as a part of this run, and drop what it leaves behind.

    Args:
        example: which one.
        run: whose databases the example's are; they cannot outlive it.
        timeout: seconds until it is stopped.
    """
    started = time.monotonic()
    environment = {**os.environ, runs.VARIABLE: run.id, "PYTHONUNBUFFERED": "1"}
    with child.running(["-m", "testdb.child", str(example.path)], environment) as process:
        try:
            code = process.process.wait(timeout)
            problem = f"ended with exit code {code}" if code else None
        except subprocess.TimeoutExpired:
            problem = f"hung for {timeout:g} s"
            process.stop()
        output = process.output()
    left = _drop_leftovers(example, run)
    if left:
        problem = f"{problem or 'passed'}, and left {', '.join(left)} behind"
    return Result(example.name, problem, time.monotonic() - started, output)


def _drop_leftovers(example: Example, run: Run) -> list[str]:
    left = [entry for entry in run.entries() if entry.proven.name.role == field(example.name)]
    for entry in left:
        lifecycle.drop(run.connection, entry.proven, end_sessions=True)
    return [entry.name for entry in left]
