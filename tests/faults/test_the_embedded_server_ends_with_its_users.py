"""The embedded server starts once, serves many, ends with its last user, and survives the rest."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from faults.process import Processes, fork_server
from harness import embedded
from harness.embedded import command_of
from harness.gate import WAIT, Gate
from harness.project import NewProject, Project
from harness.watching import children, kill, wait_until

LOCKS = ("users.lock", "server.lock", "supervisor.lock", "start.lock")


@pytest.fixture
def own(embedded_project: Project, homes: Path) -> Iterator[Project]:
    """The project with a home for its server that nobody else uses."""
    home = embedded.new_home(homes)
    yield embedded_project.with_shell(TESTDB_HOME=str(home))
    embedded.stop(home)


def home_of(socket: str) -> Path:
    return Path(socket).parent


def supervisor(home: Path) -> int:
    return int((home / "supervisor.lock").read_text())


def wait_for_the_end(home: Path, *pids: int) -> None:
    for pid in pids:
        wait_until(lambda: not command_of(pid), f"process {pid} lives on")  # noqa: B023
    assert not list(home.glob("data-*/postmaster.pid"))


def test_eight_at_once_start_one_server(processes: Processes, own: Project) -> None:
    with processes(own, 8) as users:
        for user in users:
            user.tell("use_embedded")
        sockets = {user.answer() for user in users}
        assert len(sockets) == 1, f"they use several servers: {sockets}"
        home = home_of(sockets.pop())
        pids = own.postmaster(), supervisor(home)
        for user in users[:-1]:  # all but one
            user.kill()
        assert users[-1].ask("plan") == {}
        assert (own.postmaster(), supervisor(home)) == pids
        users[-1].kill()
        wait_for_the_end(home, *pids)


def test_it_stays_for_a_kept_database_until_that_is_dropped(
    processes: Processes, own: Project
) -> None:
    run = own.run("invoke", "db.create").find(r"db\.drop (\w+)")[1]
    with processes(own) as (user,):
        home = home_of(user.ask("use_embedded"))
        pids = own.postmaster(), supervisor(home)
    own.run("invoke", "server.status").expect("running")
    assert (own.postmaster(), supervisor(home)) == pids, "it ended although a database is kept"
    own.run("invoke", "db.drop", run)
    wait_for_the_end(home, *pids)


def test_it_ends_though_looking_for_kept_databases_fails(new_project: NewProject) -> None:
    own = new_project(databases="one")
    own.replace(
        "testdb/postgres/embedded/supervisor.py",
        "return any(entry.is_kept for entry in catalog.read(connection).entries)",
        "raise RuntimeError",
    )
    with fork_server(own) as server, server.fork(own.variables()) as user:
        home = home_of(user.ask("use_embedded"))
        pids = own.postmaster(), supervisor(home)
    wait_for_the_end(home, *pids)


def test_it_ends_though_looking_for_kept_databases_takes_for_ever(
    new_project: NewProject,
) -> None:
    """A program that a test left behind, and that holds no lock of ours, is in the way."""
    own = new_project(databases="one")
    look = "LOOK_SECONDS: Final = "
    own.replace("testdb/postgres/embedded/supervisor.py", f"{look}10\n", f"{look}1\n")
    with ExitStack() as stack:
        with fork_server(own) as server, server.fork(own.variables()) as user:
            socket = user.ask("use_embedded")
            pids = own.postmaster(), supervisor(home_of(socket))
            in_the_way = psycopg.connect(host=socket, user="postgres", dbname="postgres")
            stack.callback(in_the_way.close)
            in_the_way.execute("LOCK TABLE pg_catalog.pg_shdescription IN ACCESS EXCLUSIVE MODE")
        wait_for_the_end(home_of(socket), *pids)


def test_stop_ends_it_though_a_database_is_kept(processes: Processes, own: Project) -> None:
    with processes(own) as (user,):
        user.ask("start")
        user.ask("create", worker="person", kept_days=1)
    assert own.postmaster(), "it ended although a database is kept"
    own.run("invoke", "server.stop").expect("Stopped.")
    assert not own.postmaster()
    own.run("invoke", "server.stop").expect("does not run")
    own.run("invoke", "db.list").expect("person")


def test_purge_refuses_to_take_what_somebody_uses_or_keeps(
    processes: Processes, own: Project
) -> None:
    home = Path(own.shell["TESTDB_HOME"])
    others = home / "of somebody else"
    others.touch()
    with processes(own) as (user,):
        user.ask("use_embedded")
        own.run("invoke", "server.purge", "--force", code=1).expect("Nothing was changed: a run")
        user.ask("start")
        (name, *_) = user.ask("create", worker="person", kept_days=1)
        user.kill()
    own.run("invoke", "server.stop")
    own.run("invoke", "server.purge", code=1).expect("Nothing was purged", name)
    assert name in own.run("invoke", "db.list").stdout

    own.run("invoke", "server.purge", "--force").find(r"^Freed \d{2,}\.\d MB\.$")
    left = {path.relative_to(home).parts[-1] for path in home.rglob("*") if path.is_file()}
    assert left == {*LOCKS, others.name}
    own.run("invoke", "server.status").expect("stopped").find(r"^disk: +\d+\.?\d* (bytes|kB) in ")
    own.run("invoke", "db.list").expect("no disposable databases")


@pytest.mark.parametrize("end", ["it goes on", "it is killed"])
def test_who_comes_during_a_purge_waits_and_starts_anew(
    new_project: NewProject, gate: Gate, end: str
) -> None:
    own = new_project(databases="one").with_shell(**gate.variables)
    purge, delete = "testdb/postgres/embedded/purge.py", "        shutil.rmtree(rubbish)\n"
    own.replace(purge, "\ndef purge(", f"{WAIT}\n\ndef purge(")
    own.replace(purge, delete, f"        wait_at_the_gate()\n{delete}")
    with (
        fork_server(own) as server,
        server.fork(own.variables()) as first,
        server.fork(own.variables()) as user,
    ):
        home = home_of(first.ask("use_embedded"))
        first.kill()
        purging = own.start("invoke", "server.purge")
        own.wait_for(purging, gate.arrived, "to purge")
        with (home / "users.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        user.tell("use_embedded")
        if end == "it is killed":
            purging.kill()
        gate.open()
        user.answer()
        assert user.ask("plan") == {}
        own.finish(purging, code=None)
    assert own.run("invoke", "server.purge").expect_none_of("Freed 0")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_it_ends_with_its_supervisor(processes: Processes, own: Project) -> None:
    with processes(own, 2) as (user, next_user):
        home = home_of(user.ask("use_embedded"))
        server = own.postmaster()
        kill(supervisor(home))
        wait_for_the_end(home, server)
        next_user.ask("use_embedded")
        assert next_user.ask("plan") == {}


def test_no_second_one_starts_on_its_data(processes: Processes, own: Project) -> None:
    with processes(own, 2) as (user, next_user):
        socket = user.ask("use_embedded")
        server = own.postmaster()
        os.kill(server, signal.SIGSTOP)  # it has yet to hear that its supervisor is gone
        try:
            kill(supervisor(home_of(socket)))
            (Path(socket) / ".s.PGSQL.5432").unlink()
            next_user.tell("use_embedded")
            assert not next_user.has_answered(2), "a second server started on the same data"
        finally:
            os.kill(server, signal.SIGCONT)
        next_user.answer()
        assert next_user.ask("plan") == {}


@pytest.mark.parametrize("victims", ["postmaster", "postmaster and supervisor", "a backend"])
def test_the_next_user_starts_it_anew(processes: Processes, own: Project, victims: str) -> None:
    with processes(own, 2) as (user, next_user):
        home = home_of(user.ask("use_embedded"))
        user.ask("start")
        names, server = user.ask("create", worker="main"), own.postmaster()
        if victims == "a backend":
            kill(next(pid for pid in children(server) if b"idle" in command_of(pid)))
        else:
            supervisor_pid = supervisor(home)
            os.kill(server, signal.SIGSTOP)  # so that it does not end by itself first
            if "supervisor" in victims:
                kill(supervisor_pid)
            kill(server)
            wait_until(lambda: not command_of(supervisor_pid), "the supervisor lives on")
        next_user.ask("use_embedded")
        assert next_user.ask("plan").keys() >= set(names)


def test_what_a_crash_left_does_not_stop_it(processes: Processes, own: Project) -> None:
    """The pid in postmaster.pid is somebody else's now, who runs as the same user."""
    with processes(own) as (user,):
        home = home_of(user.ask("use_embedded"))
        pid_file = next(home.glob("data-*/postmaster.pid"))
        lines = pid_file.read_text().splitlines()
        pids = own.postmaster(), supervisor(home)
    wait_for_the_end(home, *pids)
    account = {} if os.geteuid() else {"user": pid_file.parent.stat().st_uid}
    foreign = subprocess.Popen(["sleep", "600"], **account)
    try:
        pid_file.write_text("\n".join([str(foreign.pid), *lines[1:]]) + "\n")
        for name in LOCKS:
            (home / name).write_text(str(foreign.pid))
        (home / "socket").mkdir(exist_ok=True)
        (home / "socket" / ".s.PGSQL.5432").touch()
        (home / "socket" / ".s.PGSQL.5432.lock").write_text(f"{foreign.pid}\n")
        (home / "data.new").mkdir()
        with processes(own) as (user,):
            user.ask("use_embedded")
            assert user.ask("plan") == {}
        assert foreign.poll() is None, "a process that is not ours was ended"
    finally:
        foreign.kill()
        foreign.wait()
