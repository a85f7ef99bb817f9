"""The examples: list them, run them."""

import os
import sys

from invoke.context import Context
from invoke.tasks import task

from testdb.identity.project import ROOT
from testdb.processes import examples


@task(name="list")
def list_(_: Context) -> None:
    """List the examples."""
    from testdb.processes.tables import show_table

    show_table(["name", "what it shows"], [[e.name, e.summary] for e in examples.find()])


@task(
    iterable=["skip"],
    help={
        "name": "an example, or a kind such as websocket; without it all",
        "skip": "leave this example or kind out",
        "jobs": "how many run at once",
        "timeout": "seconds for each",
    },
)
def run(
    _: Context,
    name: str = "",
    skip: list[str] | None = None,
    jobs: int = 1,
    timeout: float = examples.TIMEOUT_SECONDS,
) -> None:
    """Run the examples, with a summary."""
    script = str(ROOT / "examples" / "run_all.py")
    names = [name] if name else []
    skips = [f"--skip={left_out}" for left_out in skip or []]
    options = [*names, *skips, f"--jobs={jobs}", f"--timeout={timeout}"]
    # Not a child: it takes our place, so that Ctrl-C and the exit code are its own.
    os.execv(sys.executable, [sys.executable, script, *options])  # noqa: S606
