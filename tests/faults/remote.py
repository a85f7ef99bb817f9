"""Use a baked project's testdb as faults/process.py says, one JSON line at a time.

`python remote.py FD` imports testdb once. For each socket that comes over the socket FD it forks a
process, which takes its orders from there.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Self, TextIO

import psycopg
from psycopg import sql
from testdb.identity.disposable import Disposable, Kind, Marker, Purpose, prove
from testdb.identity.errors import LifecycleError
from testdb.identity.names import TEMPLATE, Name, new_run_id
from testdb.identity.project import PROJECT
from testdb.postgres import databases
from testdb.postgres.embedded import server as embedded
from testdb.postgres.server import Server, open_server
from testdb.runs import kept
from testdb.runs import run as runs
from testdb.runs import sweep as sweeping
from testdb.runs.run import Run
from testdb.runs.sweep import Options

PAUSE_SECONDS = 0.1
"""Between two sweeps of an endless row: without it they take both cores from what they disturb."""


class Remote:
    """What this process may be told to do: every method but the private ones."""

    def __init__(self, lines: TextIO) -> None:
        """Use nothing yet."""
        self._lines = lines
        self._stack = ExitStack()

    def become(self, variables: dict[str, str]) -> int:
        """Have these variables from now on; returns the process id."""
        os.environ.clear()
        os.environ.update(variables)
        tempfile.tempdir = None  # it remembers what TMPDIR was
        return os.getpid()

    def use_embedded(self) -> str:
        """Use the embedded server from now on; returns the directory of its socket."""
        return str(self._stack.enter_context(embedded.use()))

    def start(self) -> str:
        """Live as a run from now on; returns its id."""
        self._run: Run = self._stack.enter_context(runs.start())
        return self._run.id

    def join(self, run_id: str) -> None:
        """Live as one more process of a run from now on."""
        self._run = self._stack.enter_context(runs.start(run_id=run_id))

    def create(self, worker: str, kept_days: float | None = None) -> list[str]:
        """Make databases for this run; returns their names."""
        self._made = self._run.create(worker, Kind.WORKER, kept_days=kept_days)
        return [str(name) for name in self._made.names.values()]

    def drop_made(self) -> None:
        """Drop what was created last."""
        self._run.drop(self._made)

    def template(self, logical: str) -> bool:
        """Get a template; tells whether this process built it."""
        return self._run.template(logical).build_seconds is not None

    def renew_lease(self) -> bool:
        """Take the lease again if it was lost; tells whether it was."""
        return self._run.renew_lease()

    def sweep(self, **options: bool) -> dict[str, tuple[bool, str]]:
        """Sweep; tells of every database that was named whether it went, and why."""
        return _told(sweeping.sweep(self._server(), Options(**options)))

    def plan(self) -> dict[str, tuple[bool, str]]:
        """Say what a sweep would do."""
        with closing(self._server().connect()) as connection:
            return _told(sweeping.plan(connection, Options()))

    def sweep_without_end(self) -> None:
        """Sweep, templates and orphans' databases too, until killed; tell what each round drops."""
        while True:
            time.sleep(PAUSE_SECONDS)
            verdicts = self.sweep(templates=True, force=True).items()
            dropped = [[name, why] for name, (goes, why) in verdicts if goes]
            print(json.dumps(dropped), file=self._lines, flush=True)

    def drop(self, name: str, *, end_sessions: bool = False) -> list[str]:
        """Do as `db.drop`; returns the names."""
        with closing(self._server().connect()) as connection:
            return kept.drop(connection, name, end_sessions=end_sessions)

    def leave(self, count: int) -> list[str]:
        """Leave so many empty databases, each of a run that is dead already."""
        with ThreadPoolExecutor(4) as pool:
            return [*pool.map(lambda _: self._leave_one(), range(count))]

    def spell(self) -> tuple[str, str]:
        """Spell the name and the marker of a dead run's database, which is not made."""
        purpose = _purpose_of_a_dead_run()
        marker = Marker(
            **purpose.model_dump(),
            project=PROJECT,
            host=socket.gethostname(),
            pid=os.getpid(),
            created=datetime.now(UTC),
        )
        return str(_name(purpose)), marker.model_dump_json(exclude_none=True)

    def leave_templates(self, count: int) -> list[str]:
        """Leave so many templates of other migrations, empty ones, the oldest first."""
        names = [Name.of(f"{number:010x}", TEMPLATE, "main") for number in range(count)]
        with closing(self._server().connect()) as connection:
            for name in names:
                purpose = Purpose(
                    run=new_run_id(),
                    role=name.role,
                    worker=name.role,
                    logical="main",
                    kind=Kind.TEMPLATE,
                    fingerprint=name.owner,
                )
                databases.create(connection, name, purpose)
                connection.execute(
                    sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(str(name)))
                )
        return [str(name) for name in names]

    def count_rows(self, name: str) -> dict[str, int]:
        """Plan a sweep, drop a database, and drop what was created last; tell what was fetched."""
        counts = {}
        with closing(self._server().connect()) as connection, _counting(connection) as rows:
            sweeping.plan(connection, Options())
            counts["plan"] = sum(rows)
            rows.clear()
            kept.drop(connection, name)
            counts["drop"] = sum(rows)
        with _counting(self._run.connection) as rows:
            self._run.drop(self._made)
            counts["drop of a run"] = sum(rows)
        return counts

    def forge(self, name: str) -> None:
        """Try to drop a database around the rule."""
        with closing(self._server().connect()) as connection:
            proven = prove(*self.spell())
            databases.drop(connection, Disposable(Name.of(name, name, name), proven.marker, None))

    def _leave_one(self) -> str:
        purpose = _purpose_of_a_dead_run()
        with closing(self._server().connect()) as connection:
            databases.create(connection, _name(purpose), purpose, strategy="FILE_COPY")
        return str(_name(purpose))

    def _server(self) -> Server:
        return self._stack.enter_context(open_server())


@contextmanager
def _counting(connection: psycopg.Connection) -> Iterator[list[int]]:
    """Count the rows that come over a connection: a number for each statement."""
    rows: list[int] = []

    class Counting(psycopg.Cursor[Any]):
        """A cursor that counts."""

        def execute(self, *arguments: Any, **options: Any) -> Self:  # noqa: ANN401
            super().execute(*arguments, **options)
            rows.append(self.pgresult.ntuples if self.pgresult else 0)
            return self

    usual, connection.cursor_factory = connection.cursor_factory, Counting
    try:
        yield rows
    finally:
        connection.cursor_factory = usual


def _purpose_of_a_dead_run() -> Purpose:
    return Purpose(run=new_run_id(), role="gw0", worker="gw0", logical="main", kind=Kind.WORKER)


def _name(purpose: Purpose) -> Name:
    return Name.of(purpose.run, purpose.role, purpose.logical)


def _told(verdicts: list[sweeping.Verdict]) -> dict[str, tuple[bool, str]]:
    return {verdict.name: (verdict.will_drop, verdict.reason) for verdict in verdicts}


def obey(lines: TextIO) -> None:
    """Answer every line with a line: {"result": …} or {"refused": …}."""
    remote = Remote(lines)
    for line in iter(lines.readline, ""):
        do, arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"result": getattr(remote, do)(**arguments)}
        except (LifecycleError, TypeError, psycopg.Error) as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), file=lines, flush=True)


def main() -> None:
    """Fork a process for each socket that comes, until nobody can send any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the kernel forgets those that end
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while fds := socket.recv_fds(control, 1, 1)[1]:
            with socket.socket(fileno=fds[0]) as connection:
                if os.fork() == 0:
                    control.close()
                    connection.set_inheritable(False)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.setsid()
                    obey(connection.makefile("rw"))
                    os._exit(0)  # at once: an interpreter of this size takes 0.7 s to end
    os._exit(0)


if __name__ == "__main__":
    main()
