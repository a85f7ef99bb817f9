"""Odd paths, locales, umasks, homes and users: the embedded server starts, or says why not."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from faults.process import ForkServer, Processes, RefusedByTestdbError, fork_server
from faults.users import (
    AS_ROOT,
    AS_USER,
    CLOSED,
    UNKNOWN,
    USER,
    give,
    mounting,
    running_as,
    without_a_home,
)
from harness.outcome import run
from harness.project import Project
from harness.watching import wait_until

ODD: Final = {"LANG": "C", "LC_ALL": "C", "TZ": ":odd", "PGTZ": "Asia/Kolkata", "PGPORT": "1"}
ODD_NAMES: Final = {
    "space, unicode, percent and comma": "50%off,%s übergröße-Ω",
    "quotes": "a \"quoted\" 'path'",
    "long": "x" * 150,
}


def modes(*paths: Path) -> dict[Path, tuple[int, int]]:
    """Remember whose these directories, and all above them, are, and who may enter."""
    every = {above for path in paths for above in (path, *path.parents)}
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in every}


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_whatever_the_home_is_called(
    embedded_project: Project, ordinary_user: ForkServer, room: Path, kind: str
) -> None:
    home = room / ODD_NAMES[kind]
    home.mkdir()
    give(home)
    before = modes(home)
    variables = without_a_home(embedded_project, **ODD, HOME=str(home), TMPDIR=str(room))
    with ordinary_user.fork(variables) as user:
        user.ask("use_embedded")
        assert user.ask("plan") == {}
    # initdb cannot live in a path with quotes: then it is in the directory for temporary files.
    place = room / f"testdb-{os.geteuid() or USER}" if kind == "quotes" else home / ".cache/testdb"
    data = list(place.glob("*/data-*"))
    assert len(data) == 1, f"in {place} there is no server"
    wait_until(lambda: not (data[0] / "postmaster.pid").exists(), "the server outlives its user")
    assert modes(home) == before
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_whatever_the_checkout_is_called(
    embedded_project: Project, tmp_path: Path, kind: str
) -> None:
    directory = tmp_path / ODD_NAMES[kind]
    directory.mkdir()
    checkout = embedded_project.copy_to(directory)
    before = modes(checkout.path)
    variables = {**checkout.variables(), **ODD}
    with fork_server(checkout, *CLOSED) as server, server.fork(variables) as user:
        user.ask("start")
        assert user.ask("template", logical="main")
        assert len(user.ask("create", worker="main")) == 2
    assert modes(checkout.path) == before


# Without HOME the user database names one, and only `daemon` may not write there.
@pytest.mark.parametrize(
    "home",
    [
        pytest.param("unset", marks=AS_ROOT),
        pytest.param("relative", marks=AS_ROOT),
        "missing",
        "unwritable",
    ],
)
def test_without_a_home_it_lives_in_the_directory_for_temporary_files(
    embedded_project: Project, ordinary_user: ForkServer, room: Path, home: str
) -> None:
    (room / "tmp").mkdir()
    give(room / "tmp")
    (room / "closed").mkdir(mode=0o555)
    where = {"missing": room / "closed" / "none", "unwritable": room / "closed"}.get(home, "rel")
    variables = without_a_home(embedded_project, HOME=str(where), TMPDIR=str(room / "tmp"))
    if home == "unset":
        variables = {name: value for name, value in variables.items() if name != "HOME"}
    with ordinary_user.fork(variables) as user:
        user.ask("use_embedded")
        assert user.ask("plan") == {}
    assert list((room / "tmp").glob("testdb-*/*/data-*"))


def test_without_any_place_there_is_one_error(
    embedded_project: Project, ordinary_user: ForkServer, room: Path
) -> None:
    (room / "tmp").mkdir()
    give(room / "tmp")
    mine = room / "tmp" / f"testdb-{os.geteuid() or USER}"
    mine.touch()  # something else of that name
    variables = without_a_home(embedded_project, HOME="/proc", TMPDIR=str(room / "tmp"))
    with (
        ordinary_user.fork(variables) as user,
        pytest.raises(RefusedByTestdbError, match="Set TESTDB_HOME to an absolute path"),
    ):
        user.ask("use_embedded")


def test_a_place_that_is_named_is_absolute(processes: Processes, embedded_project: Project) -> None:
    with (
        processes(embedded_project.with_shell(TESTDB_HOME="somewhere")) as (user,),
        pytest.raises(RefusedByTestdbError, match="somewhere: is not an absolute path"),
    ):
        user.ask("use_embedded")
    assert not (embedded_project / "somewhere").exists()


def the_one_line(project: Project, *through: str, **variables: str) -> str:
    """Get what a task says where no server can start; check that this is one line, with no trace.

    Args:
        project: the project.
        through: starts it as another user, or elsewhere.
        variables: that name no home for the server, if any.
    """
    env = without_a_home(project, **variables) if "HOME" in variables else project.variables()
    command = ("python", "-m", "invoke", "db.list")
    done = run(*through, *command, cwd=project.path, env=env, code=1)
    assert done.stdout == ""
    if done.stderr.count("\n") != 1:
        done.fail("to say one line")
    return done.stderr


@AS_ROOT
def test_a_user_without_a_name_is_told_so_and_may_use_an_external_server(
    embedded_project: Project, project: Project, room: Path
) -> None:
    through = running_as(UNKNOWN)
    os.chown(room, UNKNOWN, UNKNOWN)
    for home in ({"HOME": str(room)}, {"HOME": ""}):
        said = the_one_line(embedded_project, *through, **home)
        assert f"The user id {UNKNOWN} has no name on this system" in said
    assert not list(room.iterdir())
    checkout = project.copy_to(room)
    with fork_server(checkout, *through) as server, server.fork(checkout.variables()) as user:
        user.ask("start")
        assert len(user.ask("create", worker="main")) == 2


@AS_ROOT
def test_root_without_a_user_nobody_is_told_so(embedded_project: Project, tmp_path: Path) -> None:
    users, sources = tmp_path / "passwd", tmp_path / "nsswitch.conf"
    lines = Path("/etc/passwd").read_text().splitlines(keepends=True)
    users.write_text("".join(line for line in lines if not line.startswith("nobody:")))
    sources.write_text("passwd: files\n")  # systemd would know of one all the same
    through = mounting(f"--bind {users} /etc/passwd", f"--bind {sources} /etc/nsswitch.conf")
    said = the_one_line(embedded_project, *through)
    assert "there is no user `nobody`" in said


@AS_ROOT
def test_a_system_without_a_place_for_temporary_files_is_named(embedded_project: Project) -> None:
    places = [place for place in ("/tmp", "/var/tmp", "/usr/tmp") if Path(place).exists()]  # noqa: S108
    mounts = [
        how
        for place in places
        for how in (f"--bind {place} {place}", f"-o remount,bind,ro {place}")
    ]
    through = (*mounting(*mounts), *AS_USER)
    said = the_one_line(embedded_project, *through, HOME="/proc", TMPDIR="/proc")
    assert "There is no place for the embedded server (/proc/.cache/testdb: " in said


@AS_ROOT
@pytest.mark.parametrize("order", [(AS_USER, (), AS_USER), ((), AS_USER)], ids=["user", "root"])
def test_root_and_an_ordinary_user_alternate_in_one_checkout(
    embedded_project: Project, room: Path, order: Sequence[Sequence[str]]
) -> None:
    """The first of them makes pytest's cache, and the other does without."""
    checkout = embedded_project.copy_to(room)
    for path in (checkout.path, *checkout.path.rglob("*")):
        os.chown(path, USER, USER)
    tests = ("python", "-m", "pytest", "tests/integration/test_users.py")
    for through in order:
        variables = without_a_home(checkout, HOME=str(room)) if through else checkout.variables()
        done = run(*through, *tests, cwd=checkout.path, env=variables)
        done.expect(" passed", " 0 left").expect_none_of("INTERNALERROR", "warning")
    assert (checkout / ".pytest_cache").stat().st_uid == (USER if order[0] else 0)
