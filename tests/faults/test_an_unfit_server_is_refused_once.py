"""A server that cannot be used: the run ends before its first test, with one error that helps."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, LiteralString
from urllib.parse import quote

import pytest
from psycopg import sql

from faults.process import Processes, RefusedByTestdbError
from harness.environment import Environment
from harness.external import (
    HOST,
    PASSWORD,
    ROLE,
    ExternalServer,
    spellings_of_the_password,
    standby,
)
from harness.project import Project
from harness.relay import Relay, Relaying, serving

OTHER_PASSWORD: Final = "secret-of-another"  # noqa: S105
NO_URL: Final = "is not the SQLAlchemy URL of a PostgreSQL server"

Refusal = Callable[[str], str]
"""Tries to use a server; returns the one message that a person gets."""


@contextmanager
def role(server: ExternalServer, options: str, *more: LiteralString) -> Iterator[str]:
    """Have another role, and the URL for it.

    Args:
        server: where.
        options: of CREATE ROLE.
        more: statements that then change it.
    """
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE unfit LOGIN PASSWORD {} " + options).format(OTHER_PASSWORD)
        )
        try:
            for statement in more:
                connection.execute(statement)
            yield url(server.port, "unfit", OTHER_PASSWORD)
        finally:
            connection.execute("DROP ROLE unfit")


def url(port: int, user: str, password: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{HOST}:{port}"


def of_pytest(project: Project, server_url: str) -> str:
    """Run the tests there; check that there is one error and no test, and return it."""
    command = ("pytest", "tests/integration", "-n", "2")
    done = project.run(
        *command, env={"TESTDB_SERVER_URL": server_url}, code=pytest.ExitCode.USAGE_ERROR
    )
    done.expect_times(1, "ERROR").expect_none_of("Traceback")
    done.expect_times(0, r"\d+ (passed|failed|errors?).* in ")
    done.expect_none_of(OTHER_PASSWORD, *spellings_of_the_password())
    return done.output


@pytest.fixture(params=["process", pytest.param("pytest", marks=pytest.mark.long)])
def refusal(project: Project, processes: Processes, request: pytest.FixtureRequest) -> Refusal:
    """Be refused by a server, as any process is; in the long form, as a whole test run is."""

    def of_process(server_url: str) -> str:
        with (
            processes(project.with_shell(TESTDB_SERVER_URL=server_url)) as (process,),
            pytest.raises(RefusedByTestdbError) as refused,
        ):
            process.ask("start")
        said = str(refused.value)
        assert not [s for s in (OTHER_PASSWORD, *spellings_of_the_password()) if s in said]
        return said

    if request.param == "process":
        return of_process
    return lambda server_url: of_pytest(project, server_url)


def test_a_wrong_password(project: Project, external_server: ExternalServer) -> None:
    wrong = url(external_server.port, ROLE, OTHER_PASSWORD)
    said = of_pytest(project, wrong)
    assert "password authentication failed" in said
    assert '". Correct the URL' in said


def test_a_server_out_of_reach(refusal: Refusal) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind((HOST, 0))
        said = refusal(url(nobody_listens.getsockname()[1], ROLE, OTHER_PASSWORD))
    assert "Connection refused" in said
    assert "The server of TESTDB_SERVER_URL" in said
    assert "unset TESTDB_SERVER_URL to use the embedded one" in said


@pytest.mark.parametrize("wrong", ["mysql://u@h", "nonsense", "postgresql://u@h:port"])
def test_a_url_that_is_none(refusal: Refusal, wrong: str) -> None:
    assert NO_URL in refusal(wrong)


def test_an_option_that_does_not_exist(refusal: Refusal, external_server: ExternalServer) -> None:
    assert "ssslmode" in refusal(f"{external_server.url}/postgres?ssslmode=on")


def test_a_role_that_may_not_create_databases(
    refusal: Refusal, external_server: ExternalServer
) -> None:
    with role(external_server, "NOCREATEDB") as unfit:
        assert 'ALTER ROLE "unfit" CREATEDB' in refusal(unfit)


def test_a_role_that_only_reads(refusal: Refusal, external_server: ExternalServer) -> None:
    read_only = "ALTER ROLE unfit SET default_transaction_read_only = on"
    with role(external_server, "CREATEDB", read_only) as unfit:
        said = refusal(unfit)
    assert "The role unfit of TESTDB_SERVER_URL" in said
    assert "is read-only" in said
    assert "RESET default_transaction_read_only, of the role" in said


def test_a_role_that_acts_as_another(refusal: Refusal, external_server: ExternalServer) -> None:
    """The other one could make databases: nothing else is wrong with it."""
    act = (
        "CREATE ROLE another CREATEDB",
        "GRANT another TO unfit",
        "ALTER ROLE unfit SET role = another",
    )
    try:
        with role(external_server, "CREATEDB", *act) as unfit:
            said = refusal(unfit)
    finally:
        with external_server.connect() as connection:
            connection.execute("DROP ROLE IF EXISTS another")
    assert "acts as another from the start" in said
    assert 'ALTER ROLE "unfit" RESET role' in said


def test_a_standby(refusal: Refusal, environment: Environment, homes: Path) -> None:
    with standby(environment.postgresql(), homes) as server:
        said = refusal(server.url)
    assert "is of a standby, which only reads" in said
    assert "name the primary server" in said


def test_a_role_with_too_few_connections(project: Project, external_server: ExternalServer) -> None:
    with role(external_server, "CREATEDB CONNECTION LIMIT 4") as unfit:
        said = of_pytest(project, unfit)
    assert "and 3 are free" in said
    assert "CONNECTION LIMIT" in said


def test_a_server_with_too_few_connections(
    project: Project, external_server: ExternalServer
) -> None:
    with external_server.connect() as connection, ExitStack() as taken:
        ((most,),) = connection.execute("SHOW max_connections").fetchall()
        for _ in range(int(most) - 8):
            taken.enter_context(external_server.connect())
        assert "Use fewer workers (-n)" in of_pytest(project, external_server.url)


def test_a_pooler_before_the_server(refusal: Refusal, external_server: ExternalServer) -> None:
    with serving(Relay(external_server.port, Pooler)) as port:
        plain = "postgres?sslmode=disable&gssencmode=disable"
        said = refusal(f"{url(port, ROLE, PASSWORD)}/{plain}")
    assert "pooler" in said
    assert "Name the server itself" in said


class Pooler(Relaying):
    """Relays a connection as a pooler does: it announces a process id of its own."""

    def relay_answers(self, behind: socket.socket) -> None:
        """Relay them message by message."""
        messages = behind.makefile("rb")
        while kind := messages.read(1):
            size = messages.read(4)
            body = messages.read(struct.unpack("!I", size)[0] - 4)
            if kind == b"K":  # BackendKeyData: the process id, and a secret
                body = struct.pack("!I", 4711) + body[4:]
            self.request.sendall(kind + size + body)


def test_a_task_says_the_same(project: Project) -> None:
    env = {"TESTDB_SERVER_URL": "mysql://u@h"}
    done = project.run("invoke", "db.list", "--json", env=env, code=1)
    done.expect_times(1, NO_URL).expect_none_of("Traceback")
    assert done.stdout == ""
