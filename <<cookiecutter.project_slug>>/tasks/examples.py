"""The examples: list them, run them."""

import subprocess
import sys

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from tasks.reporting import show_table
from testdb import examples
from testdb.project import ROOT


@task(name="list")
def list_(_: Context) -> None:
    """List the examples."""
    show_table(["name", "what it shows"], [[e.name, e.summary] for e in examples.find()])


@task(iterable=["skip"], help={"name": "one example; without it all", "skip": "leave this one out"})
def run(_: Context, name: str = "", skip: list[str] | None = None) -> None:
    """Run the examples, with a summary."""
    names = [name] if name else []
    arguments = [*names, *(f"--skip={left_out}" for left_out in skip or [])]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "run_all.py", *arguments], check=False
    )
    if done.returncode:
        raise Exit(code=done.returncode)
