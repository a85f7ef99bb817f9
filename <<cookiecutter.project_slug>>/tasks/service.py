"""The service: run it by hand."""

from __future__ import annotations

import asyncio  # demo
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from invoke.exceptions import Exit
from invoke.tasks import task

from tasks.reporting import errors_as_exit
from testdb.adapter import fill, settings  # demo
from testdb.processes import child
from testdb.processes.service import start_service

if TYPE_CHECKING:
    from invoke.context import Context

    from testdb.runs.run import DatabaseSet


@task
def run(
    _: Context,
    demo: bool = False,  # demo
) -> None:
    """Run the service on fresh databases until Ctrl-C."""
    from testdb.identity.disposable import Kind
    from testdb.runs.run import start

    with (
        suppress(KeyboardInterrupt),
        errors_as_exit(),
        start() as run,
        run.databases("byhand", Kind.EXAMPLE) as databases,
    ):
        if demo:  # demo
            asyncio.run(fill(settings(databases.urls)))  # demo
        _serve(databases)


def _serve(databases: DatabaseSet) -> None:
    with start_service(databases, log=sys.stderr.fileno()) as service:
        print(f"The service answers at {service.url}/docs until Ctrl-C.", flush=True)
        service.process.wait()
    msg = f"The service {child.how_it_ended(service.process)}."
    raise Exit(msg, code=1)
