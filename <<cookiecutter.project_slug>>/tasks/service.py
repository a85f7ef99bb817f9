"""The service: run it by hand."""

from __future__ import annotations

import asyncio  # demo
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from tasks.reporting import task, until_ctrl_c
from testdb.adapter import fill, settings  # demo
from testdb.processes import child
from testdb.processes.service import start_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.context import Context

    from testdb.runs.run import DatabaseSet


@task(
    help={
        "port": "where it listens; without it, any port that is free",
        "reload": "start it anew whenever its code changes",
        "on": "the run id that db.create printed: use those databases, and leave them",
        "demo": "fill fresh databases with demo data",  # demo
    }
)
def run(
    _: Context,
    port: int = 0,
    reload: bool = False,
    on: str = "",
    demo: bool = False,  # demo
) -> None:
    """Run the service until Ctrl-C; --reload as you edit.

    It has fresh databases, or with --on those that db.create made.
    """
    from testdb.runs import kept

    if demo and on:  # demo
        msg = "--demo fills fresh databases; `invoke db.create --demo` makes such for --on."  # demo
        raise Exit(msg, code=1)  # demo
    with until_ctrl_c(), kept.use(on) if on else _fresh() as databases:
        if on and (behind := kept.behind(databases)):
            names = ", ".join(behind)
            msg = f"Not at the newest revision: {names}. `invoke db.migrate --on {on}` migrates."
            print(msg, file=sys.stderr)
        if demo:  # demo
            asyncio.run(fill(settings(databases.urls)))  # demo
        _serve(databases, port, reload=reload)


@contextmanager
def _fresh() -> Iterator[DatabaseSet]:
    from testdb.identity.disposable import Kind
    from testdb.runs.run import start

    with start() as run, run.databases("byhand", Kind.EXAMPLE) as databases:
        yield databases


def _serve(databases: DatabaseSet, port: int, *, reload: bool) -> None:
    log = sys.stderr.fileno()
    with start_service(databases, log, port=port, reload=reload) as service:
        print(f"The service answers at {service.url}/docs until Ctrl-C.", flush=True)
        service.process.wait()
    msg = f"The service {child.how_it_ended(service.process)}."
    raise Exit(msg, code=1)
