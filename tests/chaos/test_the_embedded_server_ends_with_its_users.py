"""The embedded server starts once, serves many, ends with its last user, and survives the rest."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.process import kill, processes, wait_until
from harness.environment import Environment

LOCKS = ("users.lock", "server.lock", "keeper.lock", "start.lock")


@pytest.fixture
def own(environment: Environment, project: Path, tmp_path: Path) -> Iterator[Path]:
    """A checkout of its own, whose server nobody else uses."""
    copy = tmp_path / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__"))
    yield copy
    environment.remove_server(copy)


def home_of(socket: str) -> Path:
    return Path(socket).parent


def postmaster(home: Path) -> int:
    (pid_file,) = home.glob("data-*/postmaster.pid")
    return int(pid_file.read_text().split()[0])


def keeper(home: Path) -> int:
    return int((home / "keeper.lock").read_text())


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_the_end(home: Path, *pids: int) -> None:
    for pid in pids:
        wait_until(lambda: not is_running(pid), f"process {pid} lives on")  # noqa: B023
    assert not list(home.glob("data-*/postmaster.pid"))


def test_eight_at_once_start_one_server(environment: Environment, own: Path) -> None:
    with processes(environment, own, 8) as users:
        for user in users:
            user.tell("use_embedded")
        (socket,) = {user.answer() for user in users}
        home = home_of(socket)
        pids = postmaster(home), keeper(home)
        for user in users[:-1]:  # all but one
            user.kill()
        assert users[-1].ask("plan") == {}
        assert (postmaster(home), keeper(home)) == pids
        users[-1].kill()
        wait_for_the_end(home, *pids)


def test_it_stays_for_a_kept_database_until_that_is_dropped(
    environment: Environment, own: Path
) -> None:
    made = environment.run(own, "invoke", "db.create")
    run = made.stderr.split("db.drop ")[1].strip("`.\n")
    with processes(environment, own, 1) as (user,):
        home = home_of(user.ask("use_embedded"))
        pids = postmaster(home), keeper(home)
    environment.run(own, "invoke", "server.status")
    assert (postmaster(home), keeper(home)) == pids
    environment.run(own, "invoke", "db.drop", run)
    wait_for_the_end(home, *pids)


def test_stop_ends_it_though_a_database_is_kept(environment: Environment, own: Path) -> None:
    environment.run(own, "invoke", "db.create")
    assert "running" in environment.run(own, "invoke", "server.status").stdout
    assert "Stopped." in environment.run(own, "invoke", "server.stop").stdout
    assert "stopped" in environment.run(own, "invoke", "server.status").stdout
    assert "does not run" in environment.run(own, "invoke", "server.stop").stdout
    kept = environment.run(own, "invoke", "db.list").stdout
    assert "person" in kept


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_it_ends_with_its_keeper(environment: Environment, own: Path) -> None:
    with processes(environment, own, 2) as (user, next_user):
        home = home_of(user.ask("use_embedded"))
        server = postmaster(home)
        kill(keeper(home))
        wait_for_the_end(home, server)
        next_user.ask("use_embedded")
        assert next_user.ask("plan") == {}


def test_no_second_one_starts_on_its_data(environment: Environment, own: Path) -> None:
    with processes(environment, own, 2) as (user, next_user):
        socket = user.ask("use_embedded")
        server = postmaster(home_of(socket))
        os.kill(server, signal.SIGSTOP)  # it has yet to hear that its keeper is gone
        try:
            kill(keeper(home_of(socket)))
            (Path(socket) / ".s.PGSQL.5432").unlink()
            next_user.tell("use_embedded")
            assert not next_user.has_answered(2)
        finally:
            os.kill(server, signal.SIGCONT)
        next_user.answer()
        assert next_user.ask("plan") == {}


@pytest.mark.parametrize("victims", ["postmaster", "postmaster and keeper", "a backend"])
def test_the_next_user_starts_it_anew(environment: Environment, own: Path, victims: str) -> None:
    with processes(environment, own, 2) as (user, next_user):
        home = home_of(user.ask("use_embedded"))
        user.ask("start")
        (names, server) = user.ask("create", worker="main"), postmaster(home)
        if victims == "a backend":
            kill(next(pid for pid in backends(server) if b"idle" in command(pid)))
        else:
            keeper_pid = keeper(home)
            os.kill(server, signal.SIGSTOP)  # so that it does not end by itself first
            if "keeper" in victims:
                kill(keeper_pid)
            kill(server)
            wait_until(lambda: not is_running(keeper_pid), "the keeper lives on")
        next_user.ask("use_embedded")
        assert next_user.ask("plan").keys() >= set(names)


def backends(server: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_what_a_crash_left_does_not_stop_it(environment: Environment, own: Path) -> None:
    """The pid in postmaster.pid is somebody else's now, who runs as the same user."""
    with processes(environment, own, 1) as (user,):
        home = home_of(user.ask("use_embedded"))
        pid_file = next(home.glob("data-*/postmaster.pid"))
        lines = pid_file.read_text().splitlines()
        pids = postmaster(home), keeper(home)
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
        with processes(environment, own, 1) as (user,):
            user.ask("use_embedded")
            assert user.ask("plan") == {}
        assert foreign.poll() is None, "a process that is not ours was ended"
    finally:
        foreign.kill()
        foreign.wait()
