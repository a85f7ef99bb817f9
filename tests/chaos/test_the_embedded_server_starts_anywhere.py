"""Odd paths, locales, umasks, homes and users: the embedded server starts, or says why not."""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from chaos.process import Process, RefusedByTestdbError, wait_until
from harness.environment import Environment, run

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
    "space": "with a space",
    "unicode": "übergröße-Ω",
    "percent and comma": "50%off,%s,really",
    "quotes": "a \"quoted\" 'path'",
    "long": "x" * 150,
}


def as_user() -> Sequence[str]:
    """Act as an ordinary user; those who are one need not."""
    return AS_USER if os.geteuid() == 0 else ()


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory that everybody can reach, of the ordinary user; gone with all in it."""
    with tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp", ignore_cleanup_errors=True) as it:
        give(Path(it))
        yield Path(it)


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
    environment: Environment, project: Path, room: Path, kind: str
) -> None:
    home = room / ODD_NAMES[kind]
    home.mkdir()
    give(home)
    before = modes(home)
    env = {**ODD, "HOME": str(home), "XDG_CACHE_HOME": "", "TMPDIR": str(room)}
    with closing(Process(environment, project, env, (*as_user(), *CLOSED))) as user:
        user.ask("use_embedded")
        assert user.ask("plan") == {}
    # initdb cannot live in a path with quotes: then it is in the directory for temporary files.
    place = room / f"testdb-{os.geteuid() or USER}" if kind == "quotes" else home / ".cache/testdb"
    (data,) = place.glob("*/data-*")
    wait_until(lambda: not (data / "postmaster.pid").exists(), "the server outlives its user")
    assert modes(home) == before
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_whatever_the_checkout_is_called(
    environment: Environment, project: Path, tmp_path: Path, kind: str
) -> None:
    checkout = tmp_path / ODD_NAMES[kind] / project.name
    shutil.copytree(project, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    before = modes(checkout)
    try:
        with closing(Process(environment, checkout, ODD, CLOSED)) as user:
            user.ask("start")
            assert user.ask("template", logical="main")
            assert len(user.ask("create", worker="main")) == 2
        assert modes(checkout) == before
    finally:
        environment.remove_server(checkout)


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
    environment: Environment, project: Path, room: Path, home: str
) -> None:
    (room / "tmp").mkdir()
    give(room / "tmp")
    (room / "closed").mkdir(mode=0o555)
    where = {"missing": room / "closed" / "none", "unwritable": room / "closed"}.get(home, "rel")
    env = {"HOME": str(where), "XDG_CACHE_HOME": "", "TMPDIR": str(room / "tmp")}
    unset = ("env", "-u", "HOME") if home == "unset" else ()
    with closing(Process(environment, project, env, (*as_user(), *unset))) as user:
        user.ask("use_embedded")
        assert user.ask("plan") == {}
    assert list((room / "tmp").glob("testdb-*/*/data-*"))


def test_without_any_place_there_is_one_error(
    environment: Environment, project: Path, room: Path
) -> None:
    (room / "tmp").mkdir()
    give(room / "tmp")
    mine = room / "tmp" / f"testdb-{os.geteuid() or USER}"
    mine.touch()  # something else of that name
    env = {"HOME": "/proc", "XDG_CACHE_HOME": "", "TMPDIR": str(room / "tmp")}
    with (
        closing(Process(environment, project, env, as_user())) as user,
        pytest.raises(RefusedByTestdbError, match="Set TESTDB_HOME to an absolute path"),
    ):
        user.ask("use_embedded")


def test_a_place_that_is_named_is_absolute(environment: Environment, project: Path) -> None:
    with (
        closing(Process(environment, project, {"TESTDB_HOME": "somewhere"})) as user,
        pytest.raises(RefusedByTestdbError, match="somewhere: is not an absolute path"),
    ):
        user.ask("use_embedded")
    assert not (project / "somewhere").exists()


@AS_ROOT
def test_root_and_an_ordinary_user_alternate_in_one_checkout(
    environment: Environment, project: Path, room: Path
) -> None:
    checkout = room / project.name
    shutil.copytree(project, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, USER, USER)
    variables = environment.variables(checkout, {"HOME": str(room), "XDG_CACHE_HOME": ""})
    tests = (str(environment.python), "-m", "pytest", "tests/integration", "-q")
    try:
        for through in (as_user(), (), as_user(), ()):
            done = run(*through, *tests, cwd=checkout, env=variables)
            assert " passed" in done.stdout
            assert " 0 left" in done.stdout
    finally:
        environment.remove_server(checkout)
