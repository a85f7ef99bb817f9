"""The service as a program: it starts, is reported if it crashes, and ends, by force if it must."""

import re
import signal
import socket
import subprocess
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import IO, Final

import pytest

from harness.external import ExternalServer
from harness.project import Project
from harness.watching import MARK, kill, living, wait_until, wait_until_gone

HEALTH: Final = "src/my_service/health.py"
ANSWER: Final = 'OK: Final = "ok"'
GUARDED: Final = 'OK: Final = __import__("psycopg").generators.connect.__module__'
GUARD: Final = "testdb.postgres.guard"
"""Where the function is that every connection of the service passes."""

CRASHES = """
raise RuntimeError("no service today")
"""

STUBBORN = """
import signal, subprocess, sys, tempfile
from testdb.processes import child

IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); " \\
    "signal.pause()"
with tempfile.TemporaryFile() as output:
    with child.spawn(["-c", IGNORES], {}, output=output.fileno()) as process:
        while not child.tail(output.fileno()):
            assert process.poll() is None
    print(process.returncode)
"""


def test_a_service_that_crashes_at_start_is_reported_with_its_log(
    project: Project, external_server: ExternalServer
) -> None:
    """Scenario A."""
    project.replace(
        "testdb/processes/serve.py", "    child.end_with_parent()", f"    {CRASHES.strip()}"
    )
    done = project.run("python", "examples/example_health.py", code=1)
    done.expect(
        "The service ended with exit code 1 before it answered.",
        "RuntimeError: no service today",
    )
    assert external_server.in_use() == []


def test_a_service_without_a_database_is_reported_with_its_log(
    project: Project, external_server: ExternalServer
) -> None:
    project.replace(
        "testdb/processes/service.py",
        "environment(databases.urls)",
        'environment({"main": databases.urls["main"].set(username="nosuchrole")})',
    )
    done = project.run("python", "examples/example_health.py", code=1)
    done.expect(
        "The service answered its first request with 503.",
        "WARNING  my_service.health: The database main is out of reach: ",
    )
    assert external_server.in_use() == []


def test_a_stubborn_service_is_killed(project: Project) -> None:
    """Scenario A."""
    assert project.run("python", "-c", STUBBORN).stdout == "-9\n"


def test_a_service_by_hand_ends_by_ctrl_c(project: Project, mark: str) -> None:
    running, url = serve(project, mark, "--demo")
    users = get(url, "/users")
    running.send_signal(signal.SIGINT)
    project.finish(running)
    assert "ada@example.com" in users


def serve(project: Project, mark: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Run the service by hand; gives where it answers too."""
    running = project.start("invoke", "service.run", *options, env={MARK: mark})
    assert running.stdout
    return running, read_until(project, running, running.stdout, r"http://\S+(?=/docs)")


def read_until(
    project: Project, running: subprocess.Popen[str], output: IO[str], pattern: str
) -> str:
    """Read what a program writes until something matches."""
    line = ""
    while not (found := re.search(pattern, line)):
        line = output.readline()
        if not line:
            project.finish(running, code=None).fail(f"to say {pattern!r}")
    return found[0]


def get(url: str, path: str) -> str:
    """Ask the service; empty if it is just ending."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, HTTPException):
            return ""


def test_a_service_by_hand_starts_anew_when_its_code_changes(project: Project, mark: str) -> None:
    """Under the guard as before, and also after a syntax error."""
    running, url = serve(project, mark, "--reload")
    assert running.stderr
    working = (project / HEALTH).read_text()
    for text, answer in ((working, "ok"), (working.replace(ANSWER, GUARDED), GUARD)):
        project.write(HEALTH, text)
        wait_until(lambda: f'"{answer}"' in get(url, "/health"), f"no {answer}", 60)  # noqa: B023
    project.write(HEALTH, "def (")
    read_until(project, running, running.stderr, "SyntaxError")
    project.write(HEALTH, working)
    wait_until(lambda: '"ok"' in get(url, "/health"), "it does not go on", 60)
    running.send_signal(signal.SIGINT)
    project.finish(running)


@pytest.mark.parametrize("victims", [("invoke",), ("invoke", "testdb.processes.serve")])
def test_a_service_that_reloads_ends_with_who_is_killed(
    project: Project, mark: str, victims: tuple[str, ...]
) -> None:
    running, url = serve(project, mark, "--reload")
    assert get(url, "/health")
    found = [pid for pid, line in living(mark).items() if any(name in line for name in victims)]
    assert len(found) == len(victims)
    for pid in found:
        kill(pid)
    try:
        wait_until_gone(mark)
    finally:
        for pid in living(mark):  # it holds our ends of the pipes, too
            kill(pid)
    project.finish(running, code=-signal.SIGKILL)
    project.run("invoke", "db.sweep")


def test_a_service_by_hand_uses_databases_that_stay(
    project: Project, external_server: ExternalServer, mark: str
) -> None:
    run = project.run("invoke", "db.create", "--demo").find(r"db\.drop (\w+)")[1]
    created = external_server.in_use()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    running, url = serve(project, mark, "--on", run, "--port", port)
    users = get(url, "/users")
    used = project.run("invoke", "db.drop", run, "--force", code=1)
    taken = project.run("invoke", "service.run", "--port", port, code=1)
    running.send_signal(signal.SIGINT)
    project.finish(running)

    assert url == f"http://127.0.0.1:{port}"
    assert "ada@example.com" in users
    used.expect(f"Nothing was dropped: somebody uses {created[0]} now")
    taken.expect(f"The service cannot have port {port}: Address already in use. Without --port")
    assert taken.stderr.count("\n") == 1
    assert external_server.in_use() == created
    project.run("invoke", "db.drop", run)
    gone = project.run("invoke", "service.run", "--on", run, code=1)
    gone.expect(f"Run {run} has no database main.")
    project.run("invoke", "service.run", "--on", "x", code=1).expect("'x' is not the id of a run")
