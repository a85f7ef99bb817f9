"""The baked project's sessions: green, and what they start and make is gone."""

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import uv

from harness.environment import clean_variables
from harness.outcome import Outcome, run
from harness.parameters import SESSIONS, one_and_two, one_by_default
from harness.project import NewProject, Project
from harness.watching import MARK, wait_until, wait_until_gone


@contextmanager
def port_8000_taken() -> Iterator[None]:
    """Listen on port 8000, unless somebody else does already."""
    with socket.socket() as listening:
        with suppress(OSError):
            listening.bind(("127.0.0.1", 8000))
            listening.listen()
        yield


def check_nox(project: Project, temporary: Path, *arguments: str) -> Outcome:
    """Check that nox is green, though port 8000 is taken, and that it leaves nothing anywhere."""
    mark = uuid.uuid4().hex
    with port_8000_taken():
        done = project.nox(*arguments, env={MARK: mark, "TMPDIR": str(temporary)})
    done.expect_none_of("skipped")
    plain = [session for session in SESSIONS if session != "examples"]  # which e2e runs
    for session in [session for session in SESSIONS if session in arguments] or plain:
        done.find(rf"Session {session}(-[\d.]+)? was successful")
    wait_until_gone(mark)
    wait_until(lambda: not project.postmaster(), "the embedded server outlives its users")
    of_tools = ("pytest-of-", "uv-")  # uv locks a project by a file there, and leaves it
    assert not [path for path in temporary.iterdir() if not path.name.startswith(of_tools)]
    return done


@pytest.mark.longest
def test_nox_is_green_and_leaves_nothing(new_project: NewProject, tmp_path: Path) -> None:
    """Scenario A: on whatever port, and with both databases."""
    project = new_project(databases="two")
    done = check_nox(project, tmp_path, "--session", "unit", "integration", "e2e")
    done.expect_times(2, "created: 2/2 workers")
    check_nox(project, tmp_path, "--session", "examples", "--", "health")  # e2e ran them all
    assert project.databases() == []


@pytest.mark.long
@pytest.mark.longest
@one_and_two
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_nox_is_green_with_every_python_and_any_number_of_workers(
    new_project: NewProject, databases: str, python: str, tmp_path: Path
) -> None:
    find = (uv.find_uv_bin(), "python", "find", "--no-python-downloads", python)
    if run(*find, cwd=tmp_path, env=clean_variables(), code=None).code:
        pytest.skip(f"this machine has no Python {python}")
    project = new_project(databases=databases)
    plain = check_nox(project, tmp_path, "--force-python", python)
    for session in ("lint", "typecheck"):
        plain.find(rf"Session {session}-{python} was successful")
    plain.expect_times(3, f"Python {python}.")
    for workers in (0, 4):
        tests = ("--force-python", python, "--session", *SESSIONS, "--", "-n", str(workers))
        done = check_nox(project, tmp_path, *tests)
        done.expect_times(3 if workers else 0, f"created: {workers}/{workers} workers")
    assert project.databases() == []


@pytest.mark.long
@one_and_two
def test_each_session_is_green_alone(
    new_project: NewProject, databases: str, tmp_path: Path
) -> None:
    project = new_project(databases=databases)
    for session in SESSIONS:
        check_nox(project, tmp_path, "--session", session)
    assert project.databases() == []


@one_by_default
def test_an_editor_runs_one_test_in_dotvenv(new_project: NewProject, databases: str) -> None:
    project = new_project(databases=databases)
    project.nox("-s", "dev")
    settings = json.loads((project / ".vscode/settings.json").read_text())
    assert settings["python.testing.pytestEnabled"]
    place = settings["python.defaultInterpreterPath"]
    python = place.replace("${workspaceFolder}", str(project.path))
    variables = {**clean_variables(), **project.shell}
    one = f"{project / 'tests/integration/test_users.py'}::test_an_email_is_taken_once"
    vs_code = (python, "-m", "pytest", f"--rootdir={project.path}")
    found = run(*vs_code, "--collect-only", "--quiet", cwd=project.path, env=variables)
    found.expect("tests/integration/test_users.py::test_an_email_is_taken_once")
    run(*vs_code, one, cwd=project.path, env=variables).expect("1 passed")
    pycharm = (python, "-m", "pytest", one)  # in the directory of the file
    run(*pycharm, cwd=project / "tests/integration", env=variables).expect("1 passed")
    assert all(
        (project / f".venv/bin/{program}").exists()
        for program in ("invoke", "nox", "ruff", "pre-commit")
    )
