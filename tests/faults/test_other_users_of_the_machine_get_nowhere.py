"""Other users of the machine: they neither get into the embedded server nor keep it from working.

Root's server is the one that they come near: it runs as `nobody`, who must pass through its home.
"""

import fcntl
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Final

import psycopg
import pytest

from faults.process import ForkServer, RefusedByTestdbError, fork_server
from faults.users import (
    AS_ROOT,
    AS_USER,
    NOBODY,
    OPEN,
    USER,
    acting_as,
    as_user,
    give,
    without_a_home,
)
from harness import embedded
from harness.embedded import command_of
from harness.gate import WAIT, Gate
from harness.outcome import Outcome, run
from harness.parameters import long
from harness.project import NewProject, Project
from harness.watching import kill, wait_until

PRIVATE: Final = {"server.lock", "server.log", "start.lock", "supervisor.lock", "users.lock"}
SUPERVISOR: Final = "testdb.postgres.embedded.supervisor"
VARIABLES: Final = {"PATH": "/usr/bin:/bin"}
STOP_SECONDS: Final = 30


@dataclass(frozen=True)
class Running:
    """An embedded server that runs, and whose it is."""

    home: Path
    owner: int


@pytest.fixture(params=["root", "an ordinary user"])
def running(
    embedded_project: Project, homes: Path, request: pytest.FixtureRequest
) -> Iterator[Running]:
    """Have a server of root, or of an ordinary user, who lets everybody read and write."""
    place = embedded.new_home(homes)
    owner, through = (0, ()) if request.param == "root" else (USER, AS_USER)
    os.chown(place, owner, owner)
    own = embedded_project.with_shell(TESTDB_HOME=str(place))
    with fork_server(own, *through, *OPEN) as server, server.fork(own.variables()) as user:
        home = Path(user.ask("use_embedded")).parent
        yield Running(home, owner)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@AS_ROOT
def test_nobody_else_opens_or_locks_its_files(running: Running, tmp_path: Path) -> None:
    def try_as_nobody(*command: str | Path) -> Outcome:
        return run(*acting_as(NOBODY), *command, cwd=tmp_path, env=VARIABLES, code=None)

    files = [running.home / name for name in PRIVATE]
    assert {path.name: oct(mode(path)) for path in files} == dict.fromkeys(PRIVATE, "0o600")
    for path in files:
        for access in ("<", ">>"):
            opened = try_as_nobody("sh", "-c", f'exec 9{access}"$1"', "sh", path)
            opened.expect("Permission denied")
    lock = try_as_nobody("flock", "--shared", "--nonblock", running.home / "users.lock", "true")
    lock.expect("cannot open lock file")
    written_by_all = [
        path
        for path in running.home.rglob("*")
        if mode(path) & stat.S_IWOTH and not path.is_symlink() and not path.is_socket()
    ]
    assert not written_by_all


@AS_ROOT
def test_nobody_else_gets_in(running: Running) -> None:
    socket = str(running.home / "socket")
    with connected(socket, "postgres", running.owner) as connection:
        connection.execute("CREATE ROLE other LOGIN; CREATE ROLE nobody LOGIN")
    connected(socket, "other", running.owner).close()
    refusal = "Permission denied" if running.owner else "Peer authentication failed"
    for role in ("postgres", "other", "nobody", "root"):
        with pytest.raises(psycopg.OperationalError, match=refusal):
            connected(socket, role, NOBODY).close()


@dataclass(frozen=True)
class End:
    """How listening ends, and what is there afterwards."""

    by: signal.Signals | None
    """What `server.listen` is sent; None if `server.stop` ends the server."""
    exit_code: int = 0
    is_used: bool = False
    """Somebody goes on to use the server, which therefore goes on to listen."""
    is_kept: bool = False
    """A person keeps a database on it."""
    stays: bool = False
    """The server is up when all is over."""


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(End(signal.SIGINT, is_used=True), id="while somebody uses it"),
        pytest.param(End(signal.SIGKILL, -9, is_kept=True), id="kill -9 while a database is kept"),
        pytest.param(
            End(signal.SIGINT, is_kept=True, stays=True), id="while a database is kept", marks=long
        ),
        pytest.param(End(None, 1), id="by server.stop", marks=long),
    ],
)
def test_nobody_gets_in_by_tcp_without_the_password(
    embedded_project: Project, homes: Path, end: End
) -> None:
    own = embedded_project.with_shell(TESTDB_HOME=str(embedded.new_home(homes)))
    listening = own.start("invoke", "server.listen")
    assert listening.stdout
    told = dict(listening.stdout.readline().split(maxsplit=1) for _ in range(5))
    port, password = told["port:"].strip(), told["password:"].strip()

    def get_in(**arguments: str) -> psycopg.Connection:
        how = {"host": "127.0.0.1", "port": port, "user": "postgres", "dbname": "postgres"}
        return psycopg.connect(**{**how, **arguments}, autocommit=True)

    with get_in(password=password) as connection:
        connection.execute("CREATE ROLE other LOGIN SUPERUSER PASSWORD 'guessed'")
        mine = connection.execute("SHOW listen_addresses").fetchone()
    psycopg.connect(told["url:"].strip()).close()
    for refusal, arguments in {
        "no password supplied": {},
        "password authentication failed": {"password": "guessed"},
        "no pg_hba.conf entry": {"user": "other", "password": "guessed"},
    }.items():
        with pytest.raises(psycopg.OperationalError, match=refusal):
            get_in(**arguments).close()
    assert mine == ("127.0.0.1",)
    (home,) = Path(own.shell["TESTDB_HOME"]).iterdir()
    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [text for text in written + shown if password.encode() in text]
    own.run("invoke", "server.status").expect(f"port:   {port} on 127.0.0.1")  # by the socket
    if end.is_kept:
        own.run("invoke", "db.create")

    with (home / "users.lock").open() as lock, closing(get_in(password=password)) as inside:
        if end.is_used:
            fcntl.flock(lock, fcntl.LOCK_SH)
        if end.by:
            listening.send_signal(end.by)
        else:
            own.run("invoke", "server.stop")
        own.finish(listening, code=end.exit_code)
        if end.is_used:
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                get_in(password=password).close()
            with pytest.raises(psycopg.OperationalError):
                inside.execute("SELECT")
    wait_until(lambda: is_closed(port), "the port is still open")
    wait_until(lambda: bool(own.postmaster()) == end.stays, "the server is not as it should be")
    own.run("invoke", "server.status").expect_none_of("port:")
    assert bool(own.databases()) == end.is_kept
    assert (home / "hba.conf").read_text() == "local all all peer map=owner\n"


def is_closed(port: str) -> bool:
    try:
        create_connection(("127.0.0.1", int(port))).close()
    except ConnectionRefusedError:
        return True
    return False


def connected(socket: str, role: str, uid: int) -> psycopg.Connection:
    """Connect as a user of this machine, under any role of the server."""
    os.seteuid(uid)
    try:
        return psycopg.connect(host=socket, user=role, dbname="postgres", autocommit=True)
    finally:
        os.seteuid(0)


@AS_ROOT
def test_files_that_an_older_version_left_open_are_closed(
    embedded_project: Project, homes: Path
) -> None:
    own = embedded_project.with_shell(TESTDB_HOME=str(embedded.new_home(homes)))
    with fork_server(own) as server:
        with server.fork(own.variables()) as user:
            home = Path(user.ask("use_embedded")).parent
        wait_until(lambda: not list(home.glob("data-*/postmaster.pid")), "the server lives on")
        for name in PRIVATE:
            (home / name).chmod(0o666)
        with server.fork(own.variables()) as user:
            user.ask("use_embedded")
            modes = {name: oct(mode(home / name)) for name in PRIVATE}
    assert modes == dict.fromkeys(PRIVATE, "0o600")


@AS_ROOT
def test_nobody_else_reaches_its_programs_before_they_are_complete(
    new_project: NewProject, gate: Gate
) -> None:
    """Whoever could write there would have root's server run what they like."""
    own = new_project(databases="one").with_shell(**gate.variables)
    supervisor = "testdb/postgres/embedded/supervisor.py"
    own.replace(supervisor, "\ndef main(", f"{WAIT}\n\ndef main(")
    own.replace(supervisor, "path.chmod(0o755)", "path.chmod(0o755); wait_at_the_gate()")
    with fork_server(own, *OPEN) as server, server.fork(own.variables()) as user:
        user.tell("use_embedded")
        wait_until(gate.arrived, "nobody copies the programs")
        place = next(Path(own.shell["TESTDB_HOME"]).glob("*/binaries.new"))
        assert oct(mode(place)) == "0o700"
        gate.open()
        user.answer()
        assert user.ask("plan") == {}


@contextmanager
def another_process(*, uid: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process that is called as the supervisor is, of another user or else of us."""
    names = (SUPERVISOR,) if uid is not None else ()
    with subprocess.Popen(["sh", "-c", "read _", *names], stdin=subprocess.PIPE, user=uid) as it:
        yield it  # it ends when its input does


@pytest.mark.parametrize("uid", [pytest.param(USER, marks=AS_ROOT, id="a namesake"), None])
def test_stop_ends_no_other_process_in_place_of_the_supervisor(
    embedded_project: Project, homes: Path, uid: int | None
) -> None:
    own = embedded_project.with_shell(TESTDB_HOME=str(embedded.new_home(homes)))
    with (
        another_process(uid=uid) as other,
        fork_server(own) as server,
        server.fork(own.variables()) as user,
    ):
        lock = Path(user.ask("use_embedded")).parent / "supervisor.lock"
        lock.write_text(str(other.pid))
        refuse_to_stop(own, other)
        assert user.ask("plan") == {}


def test_stop_ends_no_other_process_in_place_of_the_server(new_project: NewProject) -> None:
    """As on macOS, where a server may outlive its supervisor."""
    own = new_project(databases="one")
    own.replace(
        "testdb/postgres/embedded/supervisor.py", 'if sys.platform == "linux":', "if False:"
    )
    with (
        another_process(uid=None) as other,
        fork_server(own) as server,
        server.fork(own.variables()) as user,
    ):
        home = Path(user.ask("use_embedded")).parent
        supervisor = int((home / "supervisor.lock").read_text())
        kill(supervisor)
        wait_until(lambda: not command_of(supervisor), "the supervisor lives on")
        pid_file = next(home.glob("data-*/postmaster.pid"))
        content = pid_file.read_text()
        pid_file.write_text(content.replace(content.split()[0], str(other.pid), 1))
        try:
            refuse_to_stop(own, other)
        finally:
            pid_file.write_text(content)
        own.run("invoke", "server.stop").expect("Stopped.")


def refuse_to_stop(project: Project, other: subprocess.Popen[bytes]) -> None:
    """Try to stop the server; check that the other process lives on."""
    stopping = project.start("invoke", "server.stop")
    wait_until(lambda: {stopping.poll(), other.poll()} != {None}, "it does not end", STOP_SECONDS)
    assert other.poll() is None, "a process that is not ours was ended"
    done = project.finish(stopping, code=1).expect_none_of("Traceback")
    done.expect(f"The process {other.pid} is not the server of this checkout")


@pytest.fixture(
    params=[
        pytest.param((0o755, NOBODY, "is somebody else's"), marks=AS_ROOT, id="somebody else's"),
        pytest.param((0o777, USER, "can be written by everybody"), id="everybody's"),
    ]
)
def refused_place(room: Path, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Make what the ordinary user would make in a directory, in another way; tell what it is."""
    permissions, owner, why = request.param
    place = room / f"testdb-{os.geteuid() or USER}"
    place.mkdir()
    place.chmod(permissions)
    if os.geteuid() == 0:
        os.chown(place, owner, owner)
    return place, why


def test_a_place_in_the_directory_for_temporary_files_is_ours_alone(
    embedded_project: Project, ordinary_user: ForkServer, refused_place: tuple[Path, str]
) -> None:
    place, why = refused_place
    variables = without_a_home(embedded_project, HOME="/proc", TMPDIR=str(place.parent))
    with (
        ordinary_user.fork(variables) as user,
        pytest.raises(RefusedByTestdbError, match=f"{place}: {why}"),
    ):
        user.ask("use_embedded")
    assert not list(place.iterdir())


def test_a_place_for_its_socket_is_ours_alone(
    new_project: NewProject, refused_place: tuple[Path, str]
) -> None:
    """It is in /tmp where a path of the home is too long; here, in a directory of our own."""
    place, why = refused_place
    own = new_project(databases="one")
    own.replace(
        "testdb/postgres/embedded/supervisor.py", 'Path("/tmp", ', f'Path("{place.parent}", '
    )
    home = place.parent / ("x" * 150)
    home.mkdir()
    give(home)
    variables = own.variables({"TESTDB_HOME": str(home)})
    with (
        fork_server(own, *as_user()) as server,
        server.fork(variables) as user,
        pytest.raises(RefusedByTestdbError, match=f"{place} {why}") as refused,
    ):
        user.ask("use_embedded")
    assert "Traceback" not in str(refused.value)
    assert not list(place.iterdir())
