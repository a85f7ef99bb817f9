"""The service as its owner deploys it: no testdb, real databases, the commands of the README."""

import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Final

import psycopg
import pytest

from harness import outcome
from harness.external import HOST, ExternalServer, spellings_of_the_password
from harness.project import NewProject, Project

PREFIX: Final = "MY_SERVICE_"
URL_OF: Final = f"{PREFIX}DATABASE_URLS__"
MIGRATE: Final = ("python", "-m", "my_service.migrations")
SERVE: Final = ("python", "-m", "my_service")
SERVE_BY_UVICORN: Final = ("uvicorn", "--factory", "my_service.app:create_app", "--port", "0")
OWN: Final = "src/my_service/migrations/main/9999_own.py"
MIGRATION: Final = """revision = "{revision}"
down_revision = "0002"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    raise NotImplementedError
"""
ANSWER_SECONDS: Final = 30
"""How long any answer may take, whatever the databases do."""
WELL: Final = {"main": "ok", "timeseries": "ok"}
ILL: Final = WELL | {"main": "out of reach"}


@pytest.fixture
def project(new_project: NewProject) -> Project:
    """Have a project with two logical databases, and no server of testdb's."""
    return new_project(databases="two")


@pytest.fixture
def administrator(external_server: ExternalServer) -> Iterator[psycopg.Connection]:
    """Have empty databases `main` and `timeseries`, and the administrator's connection."""
    with external_server.database("timeseries"), external_server.database("main") as connection:
        yield connection


@pytest.fixture
def env(external_server: ExternalServer) -> dict[str, str]:
    """Make the settings of a deployment on these databases, on any free port."""
    server = external_server.url.replace("postgresql://", "postgresql+psycopg://")
    return {
        f"{URL_OF}MAIN": f"{server}/main",
        f"{URL_OF}TIMESERIES": f"{server}/timeseries",
        f"{PREFIX}LISTEN_PORT": "0",
        f"{PREFIX}LOG_FORMAT": "json",
    }


class Deployed:
    """A service that serves, and what it has logged so far."""

    def __init__(self, project: Project, env: dict[str, str]) -> None:
        """Start it, and wait until it says where it serves."""
        self.project = project
        self.process = project.start(*SERVE, env=env)
        self.logged: list[str] = []
        self.port = self._read_port()

    def _read_port(self) -> int:
        assert self.process.stderr
        for line in self.process.stderr:
            self.logged.append(line)
            if found := re.search(rf"http://{HOST}:(\d+)", json.loads(line)["message"]):
                return int(found[1])
        return self.project.finish(self.process, code=None).fail("to serve")

    def get(self, path: str) -> tuple[int, Any]:
        """Call it; returns the status and the JSON of its answer."""
        with closing(HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            is_json = answer.headers.get_content_subtype() == "json"
            return answer.status, json.loads(body) if is_json else body

    def end(self) -> list[dict[str, Any]]:
        """End it by SIGTERM; returns all that it has logged."""
        self.process.terminate()
        ended = self.project.finish(self.process, code=-signal.SIGTERM)
        ended.expect_none_of(*spellings_of_the_password())
        return [json.loads(line) for line in (*self.logged, *ended.output.splitlines())]


@pytest.fixture
def service(
    project: Project,
    administrator: psycopg.Connection,  # noqa: ARG001  the databases go after the service
    env: dict[str, str],
) -> Iterator[Deployed]:
    """Have the service on migrated databases."""
    project.run(*MIGRATE, env=env)
    yield Deployed(project, env)
    outcome.kill_started()


def sessions_on(administrator: psycopg.Connection, database: str) -> list[int]:
    """Find the server's processes that serve a database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
    return [pid for (pid,) in administrator.execute(query, [database])]


def test_health_tells_of_a_database_that_goes_and_comes_back(
    service: Deployed, administrator: psycopg.Connection
) -> None:
    assert service.get("/health") == (HTTPStatus.OK, WELL)
    administrator.execute("ALTER DATABASE main ALLOW_CONNECTIONS false")
    for pid in sessions_on(administrator, "main"):
        administrator.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert service.get("/health") == (HTTPStatus.SERVICE_UNAVAILABLE, ILL)
    assert service.get("/health/live")[0] == HTTPStatus.OK
    assert service.get("/users")[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    administrator.execute("ALTER DATABASE main ALLOW_CONNECTIONS true")
    assert service.get("/health") == (HTTPStatus.OK, WELL)
    assert service.get("/users") == (HTTPStatus.OK, [])
    logged = service.end()
    (warning,) = [line for line in logged if line["level"] == "WARNING"]
    assert "The database main is out of reach: " in warning["message"]
    (error,) = [line for line in logged if line["level"] == "ERROR"]
    assert "OperationalError" in error["exc_info"]
    assert {"uvicorn.error", "uvicorn.access"} <= {line["logger"] for line in logged}


def test_health_does_not_wait_for_a_database_that_says_nothing(
    service: Deployed, administrator: psycopg.Connection
) -> None:
    assert service.get("/health") == (HTTPStatus.OK, WELL)
    (pid,) = sessions_on(administrator, "main")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert service.get("/health") == (HTTPStatus.SERVICE_UNAVAILABLE, ILL)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert service.get("/health") == (HTTPStatus.OK, WELL)
    assert any("main gave no answer in 3 s" in line["message"] for line in service.end())


def test_a_wrong_number_of_processes_is_one_line(project: Project) -> None:
    nowhere = f"postgresql://u@{HOST}:1/none"
    env = {f"{URL_OF}MAIN": nowhere, f"{URL_OF}TIMESERIES": nowhere}
    for wrong in ("s3cret", "0", ""):
        done = project.run(*SERVE, env={**env, "WEB_CONCURRENCY": wrong}, code=1)
        (line,) = done.output.splitlines()
        assert line == "WEB_CONCURRENCY is the number of processes that serve: 1 or more."


def test_migrations_that_reach_no_server_say_so_in_one_line(project: Project) -> None:
    nowhere = f"postgresql://u:s3cret@{HOST}:1/none"
    env = {f"{URL_OF}MAIN": nowhere, f"{URL_OF}TIMESERIES": nowhere}
    (line,) = project.run(*MIGRATE, env=env, code=1).output.splitlines()
    assert line.startswith("The database main is out of reach: ")
    assert "s3cret" not in line


def test_whatever_a_migration_raises_is_one_message_with_its_line(
    project: Project,
    administrator: psycopg.Connection,  # noqa: ARG001  the databases
    env: dict[str, str],
) -> None:
    for revision, upgrade, said in (
        ("9999", "{}['key']", f"{OWN}:6: KeyError: 'key'"),
        ("9999", "import nosuch", f"{OWN}:6: ModuleNotFoundError: No module named 'nosuch'"),
        ("9999", "def (", "SyntaxError: invalid syntax (9999_own.py, line 6)"),
        ("0001", "pass", "fail: UserWarning: Revision 0001 is present more than once"),
    ):
        project.write(OWN, MIGRATION.format(revision=revision, upgrade=upgrade))
        failed = project.run(*MIGRATE, env=env, code=1)
        failed.expect("The migrations of main fail: ", said).expect_none_of("Traceback")
    project.write(OWN, MIGRATION.format(revision="9999", upgrade="pass"))
    project.run(*MIGRATE, env=env)
    kept = project.run(*MIGRATE, "main", "downgrade", "-1", env=env, code=1)
    kept.expect(f"{OWN}:10: NotImplementedError: it cannot be undone").expect_none_of("Traceback")


@pytest.mark.parametrize("command", [MIGRATE, SERVE, SERVE_BY_UVICORN], ids=" ".join)
def test_a_mistake_in_the_settings_is_one_line(project: Project, command: Sequence[str]) -> None:
    done = project.run(*command, env={f"{URL_OF}MIAN": "postgresql://u:s3cret@db/main"}, code=1)
    (line,) = done.output.splitlines()
    assert line == (
        f"The logical database main has no URL: set {URL_OF}MAIN. "
        f"The logical database timeseries has no URL: set {URL_OF}TIMESERIES. "
        f"{URL_OF}MIAN names no logical database of this service, which has main, timeseries."
    )
