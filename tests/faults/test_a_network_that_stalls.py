"""A network that swallows everything without a word: the run ends in time, and says why.

A relay stands before the external server. From some moment on it forwards nothing, and keeps all
sockets open: what a firewall does that forgets a connection, or a cable that somebody pulls.
"""

import json
import re
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from harness.external import HOST, ExternalServer
from harness.gate import WAIT, Gate
from harness.project import NewProject, Project
from harness.relay import Relay, serving
from harness.suite import write

TIMEOUT_SECONDS: Final = 3
"""How long a test may take: pytest's own."""
TEARDOWN_SECONDS: Final = 3
CONNECT_SECONDS: Final = 2
END_SECONDS: Final = 30
"""How long the run may take in all from the moment on at which the network stalls."""
BY_DEFAULT: Final = (("reset", 0),)

WAITING = f"""
import pytest
from sqlalchemy import text
{WAIT}

@pytest.mark.parametrize("number", range(20))
@pytest.mark.isolation("MODE")
async def test_asks(session, number):
    wait_at_the_gate()
    await session.execute(text("SELECT 1"))
"""

ON_EACH_SOCKET: Final = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 60000,
}
"""Seconds, a count, and milliseconds: see socket(7) and tcp(7)."""

NOTES = """

import json, os, socket, sys
from sqlalchemy import event, pool

def note(descriptor, who):
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        options = {
            name: opened.getsockopt(
                socket.SOL_SOCKET if name[:2] == "SO" else socket.IPPROTO_TCP, getattr(socket, name)
            )
            for name in (
                "SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"
            )
        }
    with open(os.environ["NOTED"], "a") as noted:
        print(json.dumps([who, options]), file=noted)

@event.listens_for(pool.Pool, "connect")
def connected(connection, _):
    who = "in process" if "pytest" in sys.modules else "a process"
    note(getattr(connection, "driver_connection", connection).fileno(), who)
"""

OPENS = """
import httpx
import pytest

from my_service.app import note
from testdb.processes.service import start_service


def test_of_testdb(run):
    note(run.connection.fileno(), "testdb")


async def test_of_the_service_here(client):
    assert (await client.get("/users")).status_code == 200


@pytest.mark.isolation("clone")
def test_of_the_service_in_a_process(databases):
    with start_service(databases) as service:
        httpx.get(service.url + "/users").raise_for_status()
"""


class Stalling(Relay):
    """Forwards connections to a port, until it stalls."""

    def __init__(self, behind: int) -> None:
        """Stall not yet."""
        super().__init__(behind, Forwarding)
        self.stalled = threading.Event()
        self.ended = threading.Event()


class Forwarding(socketserver.BaseRequestHandler):
    """One connection."""

    server: Stalling

    def handle(self) -> None:
        """Forward both ways until either side hangs up."""
        with socket.create_connection((HOST, self.server.behind)) as behind, suppress(OSError):
            back = threading.Thread(target=self.forward, args=(behind, self.request), daemon=True)
            back.start()
            self.forward(self.request, behind)
            back.join()

    def forward(self, source: socket.socket, target: socket.socket) -> None:
        """Forward one way; when the network has stalled, neither bytes nor the end pass."""
        with suppress(OSError):
            while data := source.recv(65536):
                if self.server.stalled.is_set():
                    break
                target.sendall(data)
        if self.server.stalled.is_set():
            self.server.ended.wait()
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def stalling(external_server: ExternalServer) -> Iterator[Stalling]:
    """Have a relay before the external server."""
    relay = Stalling(external_server.port)
    with serving(relay):
        yield relay
        relay.ended.set()


@pytest.fixture
def impatient(
    new_project: NewProject, external_server: ExternalServer, stalling: Stalling
) -> Project:
    """Bake a project on the server behind the relay; its patience is short."""
    project = new_project()
    for path, name, seconds, old in (
        ("testing/plugin.py", "TEARDOWN_SECONDS", TEARDOWN_SECONDS, "60.0"),
        ("postgres/server.py", "CONNECT_SECONDS", CONNECT_SECONDS, "10"),
    ):
        project.replace(f"testdb/{path}", f"{name}: Final = {old}", f"{name}: Final = {seconds}")
    through = external_server.url.replace(f":{external_server.port}", f":{stalling.port}")
    return project.with_shell(
        TESTDB_SERVER_URL=f"{through}/postgres?sslmode=disable&gssencmode=disable"
    )


@pytest.mark.parametrize(
    ("mode", "workers"),
    [
        pytest.param(mode, workers, marks=() if (mode, workers) in BY_DEFAULT else pytest.mark.long)
        for mode, workers in product(("reset", "clone"), (0, 2))
    ],
)
def test_the_run_ends_in_time_and_says_why(
    impatient: Project, stalling: Stalling, gate: Gate, mode: str, workers: int
) -> None:
    path = write(impatient, WAITING.replace("MODE", mode))
    command = ("pytest", path, "-n", str(workers), "-o", f"timeout={TIMEOUT_SECONDS}")
    run = impatient.start(*command, env=gate.variables)
    every = max(workers, 1)
    impatient.wait_for(run, lambda: len(set(gate.arrived())) == every, "to start a test a worker")
    stalling.stalled.set()
    gate.open()
    ended = impatient.finish(run, code=pytest.ExitCode.INTERRUPTED, seconds=END_SECONDS)
    ended.expect_none_of("INTERNALERROR")
    ended.find(r"^! .*Interrupted: The server of TESTDB_SERVER_URL .* cannot be used: connection")
    ended.find(r"^testdb: what is left goes with `invoke db.sweep`: ")
    # Each worker has a test that hangs and one that is stopped; each may fail to tidy up.
    failures = len(re.findall(r"^(?:FAILED|ERROR) ", ended.output, re.MULTILINE))
    if failures > 4 * every:
        ended.fail(f"to end at once; there are {failures} failures")


def test_ctrl_c_ends_a_run_whose_network_stalls(
    impatient: Project, stalling: Stalling, gate: Gate
) -> None:
    """A person does not wait for timeouts; the databases of the worker are not waited for."""
    path = write(impatient, WAITING.replace("MODE", "reset"))
    run = impatient.start("pytest", path, env=gate.variables)
    impatient.wait_for(run, gate.arrived, "to start a test")
    stalling.stalled.set()
    gate.open()
    run.send_signal(signal.SIGINT)
    ended = impatient.finish(run, code=pytest.ExitCode.INTERRUPTED, seconds=END_SECONDS)
    ended.find(r"^testdb: what is left goes with `invoke db.sweep`: ")


def test_every_connection_notices_that_its_network_has_gone(
    new_project: NewProject, external_server: ExternalServer, tmp_path: Path
) -> None:
    """Those of testdb, of the service in the process of the tests, and in one of its own."""
    project = new_project().with_shell(**external_server.variables, NOTED=str(tmp_path / "noted"))
    app = "src/my_service/app.py"
    project.write(app, (project / app).read_text() + NOTES)
    project.run("pytest", write(project, OPENS)).expect("3 passed")
    noted = [json.loads(line) for line in (tmp_path / "noted").read_text().splitlines()]
    assert {who for who, _ in noted} == {"testdb", "in process", "a process"}
    for who, options in noted:
        assert options == ON_EACH_SOCKET, who
