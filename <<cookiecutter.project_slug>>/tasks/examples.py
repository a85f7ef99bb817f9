"""The examples: list them, run them."""

import os
import sys

from invoke.context import Context

from tasks.reporting import task
from testdb.identity.project import ROOT
from testdb.processes import examples


@task(name="list")
def list_(_: Context) -> None:
    """List the examples."""
    from testdb.processes.tables import show_table

    show_table(["name", "what it shows"], [[e.name, e.summary] for e in examples.find()])


@task
def run(context: Context) -> None:
    """Run the examples, with a summary; `-- users` runs one.

    After -- it takes what examples/run_all.py takes: `-- --help` shows it.
    """
    script = str(ROOT / "examples" / "run_all.py")
    # Not a child: it takes our place, so that Ctrl-C and the exit code are its own.
    os.execv(sys.executable, [sys.executable, script, *context.remainder.split()])  # noqa: S606
