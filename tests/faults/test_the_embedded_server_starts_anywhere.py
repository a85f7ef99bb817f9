"""Odd paths, locales, umasks, homes and users: the embedded server starts, or says why not."""

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from faults.process import ForkServer, Processes, RefusedByTestdbError, fork_server
from harness.outcome import run
from harness.project import Project, Variables
from harness.watching import wait_until

USER: Final = pwd.getpwnam("daemon").pw_uid
"""A user without privileges whom every system knows; root acts as it."""
AS_USER: Final = (
    f"setpriv --reuid {USER} --regid {USER} --clear-groups"
    # It may read what only root can reach, such as the environment and the baked project.
    " --inh-caps +dac_read_search --ambient-caps +dac_read_search --"
).split()
ODD: Final = {"LANG": "C", "LC_ALL": "C", "TZ": ":odd", "PGTZ": "Asia/Kolkata", "PGPORT": "1"}
CLOSED: Final = ("sh", "-c", 'umask 077; exec "$@"', "sh")
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
ODD_NAMES: Final = {
    "space, unicode, percent and comma": "50%off,%s übergröße-Ω",
    "quotes": "a \"quoted\" 'path'",
    "long": "x" * 150,
}


def without_a_home(project: Project, **variables: str) -> Variables:
    """Make variables that name no home for the server, and others."""
    found = {**project.variables(), "XDG_CACHE_HOME": "", **variables}
    del found["TESTDB_HOME"]
    return found


def as_user() -> Sequence[str]:
    """Act as an ordinary user; those who are one need not."""
    return AS_USER if os.geteuid() == 0 else ()


@pytest.fixture
def room(homes: Path) -> Iterator[Path]:
    """A directory that everybody can reach, of the ordinary user; gone with all in it."""
    with tempfile.TemporaryDirectory(dir=homes, ignore_cleanup_errors=True) as it:
        give(Path(it))
        yield Path(it)


@pytest.fixture(scope="module")
def ordinary_user(embedded_project: Project) -> Iterator[ForkServer]:
    """Have processes of an ordinary user, whose files nobody else may read."""
    with fork_server(embedded_project, *as_user(), *CLOSED) as server:
        yield server


def give(path: Path) -> None:
    """Give a directory to the ordinary user."""
    path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(path, USER, USER)


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


@AS_ROOT
def test_root_and_an_ordinary_user_alternate_in_one_checkout(
    embedded_project: Project, room: Path
) -> None:
    checkout = embedded_project.copy_to(room)
    for path in (checkout.path, *checkout.path.rglob("*")):
        os.chown(path, USER, USER)
    tests = ("python", "-m", "pytest", "tests/integration/test_users.py")
    for through in (AS_USER, (), AS_USER):
        variables = without_a_home(checkout, HOME=str(room)) if through else checkout.variables()
        run(*through, *tests, cwd=checkout.path, env=variables).expect(" passed", " 0 left")
