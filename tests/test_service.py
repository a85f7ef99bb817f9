"""The service as a program: it starts, is reported if it crashes, and ends, by force if it must."""

import re
import signal

from harness.external import ExternalServer
from harness.project import Project
from harness.watching import MARK

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
        "testdb/processes/serve.py", "    child.end", f"    {CRASHES.strip()}\n    child.end"
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
    running = project.start("invoke", "service.run", "--demo", env={MARK: mark})
    assert running.stdout
    said = ""
    while not (url := re.search(r"http://\S+(?=/docs)", said)):
        said = running.stdout.readline()
        if not said:
            project.finish(running, code=None).fail("to serve until Ctrl-C")
    fetch = "import httpx, sys; print(httpx.get(sys.argv[1], trust_env=False).text)"
    users = project.run("python", "-c", fetch, f"{url[0]}/users")
    running.send_signal(signal.SIGINT)
    project.finish(running)
    users.expect("ada@example.com")
