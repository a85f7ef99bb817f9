"""Disposable databases: make, list, drop, sweep, migrate, open."""

from __future__ import annotations

import asyncio  # demo
import sys
import time
from contextlib import closing, contextmanager
from json import dumps
from typing import TYPE_CHECKING

from tasks.reporting import task
from testdb.adapter import (
    LOGICAL,
    fill,  # demo
    settings,  # demo
)
from testdb.runs import KEPT_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.context import Context

    from testdb.postgres import Connection
    from testdb.postgres.catalog import Entry
    from testdb.postgres.server import Server
    from testdb.runs.sweep import Verdict


@contextmanager
def _connected() -> Iterator[tuple[Server, Connection]]:
    from testdb.postgres.server import open_server

    with open_server() as server, closing(server.connect("testdb task")) as connection:
        yield server, connection


@task(
    help={
        "days": "how long sweep leaves them alone",
        "demo": "fill them with demo data",  # demo
    }
)
def create(
    _: Context,
    days: float = KEPT_DAYS,
    demo: bool = False,  # demo
) -> None:
    """Make migrated databases to keep, and print their URLs."""
    from testdb.postgres.psql import psql_uri
    from testdb.runs import kept

    made = kept.create(days)
    if demo:  # demo
        asyncio.run(fill(settings(made.urls)))  # demo
    for logical, url in made.urls.items():
        print(f"{logical}: {psql_uri(url)}")
    hint = f"Kept for {days:g} days, or until `invoke db.drop {made.run}`."
    print(hint, file=sys.stderr)


@task(
    help={
        "run": "a run id, or the name of one database; db.sweep --kept drops all that is kept",
        "force": "end sessions on them",
    }
)
def drop(_: Context, run: str, force: bool = False) -> None:
    """Drop the databases of RUN, all or none; or one by its name."""
    from testdb.runs import kept

    with _connected() as (_server, connection):
        for dropped in kept.drop(connection, run, end_sessions=force):
            print(f"Dropped {dropped}.")


@task(name="list", help={"json": "print a JSON array and nothing else"})
def list_(_: Context, json: bool = False) -> None:
    """List the disposable databases, and who is alive."""
    from testdb.postgres import catalog

    with _connected() as (_server, connection):
        entries = catalog.read(connection).entries
        rows = [_row(entry, catalog.size_bytes(connection, entry.name)) for entry in entries]
    if json:
        print(dumps(rows, indent=2))
    elif rows:
        from testdb.processes.tables import show_table

        show_table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    else:
        print("There are no disposable databases.")


def _row(entry: Entry, size_bytes: int) -> dict[str, str | int | bool | None]:
    marker = entry.proven.marker
    return {
        "name": entry.name,
        "kind": marker.kind if marker else None,
        "logical": entry.logical,
        "run": entry.proven.name.run,
        "worker": marker.worker if marker else entry.proven.name.role,
        "alive": entry.alive,
        "kept": entry.is_kept,
        "created": marker.created.isoformat(timespec="seconds") if marker else None,
        "size_bytes": size_bytes,
    }


def _cell(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "?" if value is None else str(value)


@task(
    help={
        "dry_run": "only say what would go",
        "kept": "also what people keep",
        "templates": "also the newest templates",
        "force": "end sessions that dead runs left behind",
    }
)
def sweep(
    _: Context,
    dry_run: bool = False,
    kept: bool = False,
    templates: bool = False,
    force: bool = False,
) -> None:
    """Drop what dead runs left; say what stays, and why."""
    from rich.console import Console
    from rich.progress import Progress

    from testdb.runs import sweep as sweeping

    options = sweeping.Options(kept=kept, templates=templates, force=force)
    with _connected() as (server, connection):
        planned = sweeping.plan(connection, options)
        if dry_run:
            _show(planned, "would go")
            return
        started = time.monotonic()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("Dropping", total=sum(verdict.will_drop for verdict in planned))
            done = sweeping.sweep(server, options, on_verdict=lambda _: progress.advance(bar))
        seconds = time.monotonic() - started
    _show(done, "dropped")
    gone = sum(verdict.will_drop for verdict in done)
    databases = "database" if gone == 1 else "databases"
    print(f"Dropped {gone} {databases} in {seconds:.2f} s ({gone / seconds:.0f}/s).")


def _show(verdicts: list[Verdict], gone: str) -> None:
    from testdb.processes.tables import show_table

    rows = [[v.name, gone if v.will_drop else "stays", v.reason] for v in verdicts]
    show_table(["name", "", "why"], sorted(rows, key=lambda row: row[1]))


@task(help={"on": "a run id or a database; without it everything that db.create made"})
def migrate(_: Context, on: str = "") -> None:
    """Migrate what db.create made, or --on RUN; add what is new."""
    from testdb.runs import kept

    for done in kept.migrate(on):
        print(done)


@task(
    help={
        "message": "what it does",
        "logical": "of which logical database",
        "empty": "to change data in: it does nothing yet",
    }
)
def revision(_: Context, message: str, logical: str = LOGICAL[0], empty: bool = False) -> None:
    """Write the migration that the models are ahead by."""
    from testdb.runs import migration_check
    from testdb.runs.run import start

    with start() as run:
        migration_check.write_revision(run, logical, message, empty=empty)


@task(
    help={
        "on": "a run id or a database; without it the newest that db.create made",
        "logical": "of which logical database, unless you name one",
    }
)
def shell(_: Context, on: str = "", logical: str = LOGICAL[0]) -> None:
    """Open psql on a database: the newest, or --on RUN."""
    from testdb.postgres.psql import open_psql
    from testdb.runs import kept

    with _connected() as (server, connection):
        open_psql(server.url_of(kept.choose(connection, on, logical).name))
