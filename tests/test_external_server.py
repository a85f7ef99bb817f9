"""An external server is left as it was, and its password is seen nowhere."""

from typing import Final

import pytest

from harness.external import ROLE, ExternalServer, spellings_of_the_password
from harness.parameters import SESSIONS, one_and_two, two_by_default
from harness.project import NewProject, Project
from harness.suite import audit, write

USERS: Final = "tests/integration/test_users.py"
SHOWS = '''"""Shows the arguments of all processes, and fails, which shows the service's log."""

from contextlib import suppress
from pathlib import Path

from testdb.processes.examples import service_client

with service_client(__file__):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_bytes().replace(b"\\0", b" ").decode(errors="replace")
            if "testdb" in command or "run_all" in command:
                print(command)
    raise ValueError("no luck")
'''

WAITS: Final = """
import time

import pytest


@pytest.mark.parametrize("number", range(2))
def test_waits(run, databases, number):
    time.sleep(1.5)
    assert run.connection.execute("SELECT 1").fetchall() == [(1,)]
    assert run.renewed == 0
"""


@two_by_default
def test_an_external_server_is_used_and_left_as_it_was(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    """Scenario A."""
    project = new_project(databases=databases).with_shell(**external_server.variables)
    before = left_alone(external_server)
    said = [project.run("pytest", USERS, "-n", "2")]
    said += [project.run("python", "examples/run_all.py", "users")]
    assert left_alone(external_server) == before

    # What goes wrong talks the most.
    path = project.write(
        "tests/integration/test_fails.py",
        "async def test_fails(app, session, worker_databases, run):\n    assert 0\n",
    )
    fails = ("pytest", path, "-vv", "--showlocals", "--full-trace")
    said += [project.run(*fails, code=1).expect("1 failed")]
    nobody = {"TESTDB_SERVER_URL": external_server.url.replace("//developer:", "//nobody:")}
    said += [project.run(*fails, env=nobody, code=pytest.ExitCode.USAGE_ERROR)]
    said += [project.run("invoke", "--debug", "db.list", env=nobody, code=1)]
    said += [project.run("invoke", "--debug", "--echo", "db.list")]
    assert left_alone(external_server) == before
    for outcome in said:
        outcome.expect_none_of(*spellings_of_the_password())


def test_timeouts_of_the_role_end_no_connection_that_waits(
    project: Project, external_server: ExternalServer
) -> None:
    with external_server.connect() as connection:
        connection.execute(f"ALTER ROLE {ROLE} SET idle_session_timeout = '1s'".encode())
        try:
            done = project.run("pytest", write(project, WAITS))
        finally:
            connection.execute(f"ALTER ROLE {ROLE} RESET idle_session_timeout".encode())
    done.expect("2 passed").expect_none_of("cloned anew")
    assert audit(done)["left"] == 0


def left_alone(server: ExternalServer) -> dict[int, str]:
    """List all databases but the templates, by oid: one that was made anew is another one."""
    return {oid: name for oid, name in server.databases().items() if "_template_" not in name}


@pytest.mark.long
@one_and_two
def test_all_sessions_on_an_external_server(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    before = left_alone(external_server)
    project.nox("--verbose", "-s", *SESSIONS).expect_none_of(*spellings_of_the_password())
    assert left_alone(external_server) == before


def test_no_process_shows_the_password(project: Project) -> None:
    """Scenario A."""
    project.write("examples/example_shows.py", SHOWS)
    done = project.run("python", "examples/run_all.py", "shows", code=1)
    done.expect("no luck", "testdb.processes.serve", "testdb.processes.child", "run_all.py")
    done.expect_none_of(*spellings_of_the_password())
