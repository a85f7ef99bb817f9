"""A server that cannot be used: the run ends before its first test, with one error that helps."""

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from harness.environment import Environment
from harness.external import HOST, PASSWORD, ROLE, ExternalServer, spellings_of_the_password

OTHER_PASSWORD = "secret-of-another"  # noqa: S105


@contextmanager
def role(server: ExternalServer, options: str) -> Iterator[str]:
    """Have another role, and the URL for it."""
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE unfit LOGIN PASSWORD {} " + options).format(OTHER_PASSWORD)
        )
        try:
            yield url(server.port, "unfit", OTHER_PASSWORD)
        finally:
            connection.execute("DROP ROLE unfit")


def url(port: int, user: str, password: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{HOST}:{port}"


def refusal(environment: Environment, project: Path, server_url: str) -> str:
    """Run the tests there; check that there is one error, and return it."""
    done = environment.run(
        project,
        *("pytest", "tests/integration", "-n", "2"),
        env={"TESTDB_SERVER_URL": server_url},
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, output
    assert output.count("ERROR") == 1, output
    assert "Traceback" not in output
    assert not re.search(r"\d+ (passed|failed|errors?).* in ", output), output
    assert OTHER_PASSWORD not in output
    assert not [secret for secret in spellings_of_the_password() if secret in output]
    return output


def test_a_wrong_password(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    wrong = url(external_server.port, ROLE, OTHER_PASSWORD)
    assert "password authentication failed" in refusal(environment, project, wrong)


def test_a_server_out_of_reach(environment: Environment, project: Path) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind((HOST, 0))
        port = nobody_listens.getsockname()[1]
        said = refusal(environment, project, url(port, ROLE, OTHER_PASSWORD))
    assert "Connection refused" in said
    assert "unset TESTDB_SERVER_URL to use the embedded one" in said


@pytest.mark.parametrize("wrong", ["mysql://u@h", "nonsense", "postgresql://u@h:port"])
def test_a_url_that_is_none(environment: Environment, project: Path, wrong: str) -> None:
    assert "is not the SQLAlchemy URL of a PostgreSQL server" in refusal(
        environment, project, wrong
    )


def test_an_option_that_does_not_exist(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    said = refusal(environment, project, f"{external_server.url}/postgres?ssslmode=on")
    assert "ssslmode" in said


def test_a_role_that_may_not_create_databases(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    with role(external_server, "NOCREATEDB") as unfit:
        assert 'ALTER ROLE "unfit" CREATEDB' in refusal(environment, project, unfit)


def test_a_role_with_too_few_connections(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    with role(external_server, "CREATEDB CONNECTION LIMIT 4") as unfit:
        said = refusal(environment, project, unfit)
    assert "and 3 are free" in said
    assert "CONNECTION LIMIT" in said


def test_a_server_with_too_few_connections(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    taken: list[psycopg.Connection] = []
    try:
        with external_server.connect() as connection:
            ((most,),) = connection.execute("SHOW max_connections").fetchall()
        taken += [external_server.connect() for _ in range(int(most) - 8)]
        said = refusal(environment, project, external_server.url)
        assert "Use fewer workers (-n)" in said
    finally:
        for connection in taken:
            connection.close()


def test_a_pooler_before_the_server(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    with pooler(external_server.port) as port:
        plain = "postgres?sslmode=disable&gssencmode=disable"
        said = refusal(environment, project, f"{url(port, ROLE, PASSWORD)}/{plain}")
    assert "pooler" in said
    assert "Name the server itself" in said


class Pooler(socketserver.BaseRequestHandler):
    """Relays a connection as a pooler does: it announces a process id of its own."""

    def handle(self) -> None:
        """Relay until either side hangs up."""
        with socket.create_connection((HOST, self.server.behind)) as behind, suppress(OSError):
            threading.Thread(target=self.relay_requests, args=(behind,), daemon=True).start()
            messages = behind.makefile("rb")
            while kind := messages.read(1):
                size = messages.read(4)
                body = messages.read(struct.unpack("!I", size)[0] - 4)
                if kind == b"K":  # BackendKeyData: the process id, and a secret
                    body = struct.pack("!I", 4711) + body[4:]
                self.request.sendall(kind + size + body)

    def relay_requests(self, behind: socket.socket) -> None:
        """Relay the other way."""
        with suppress(OSError):
            while request := self.request.recv(65536):
                behind.sendall(request)
            behind.shutdown(socket.SHUT_RDWR)


@contextmanager
def pooler(behind: int) -> Iterator[int]:
    """Have a pooler before the server on a port; yields its own port."""
    with socketserver.ThreadingTCPServer((HOST, 0), Pooler) as server:
        server.daemon_threads = True
        server.behind = behind
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_task_says_the_same(environment: Environment, project: Path) -> None:
    env = {"TESTDB_SERVER_URL": "mysql://u@h"}
    done = environment.run(project, "invoke", "db.list", "--json", env=env, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("is not the SQLAlchemy URL of a PostgreSQL server") == 1
    assert "Traceback" not in done.stderr
