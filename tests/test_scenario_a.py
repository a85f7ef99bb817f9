"""Scenario A: a trading API whose end-to-end tests polluted production.

Its other lines are the examples' business: tests/test_examples.py; sweeps and look-alikes are in
tests/chaos/test_nothing_real_is_dropped.py.
"""

import json

from harness.external import ExternalServer, spellings_of_the_password
from harness.project import NewProject, Project

TESTS = {
    "integration/test_email.py": """
import pytest

@pytest.mark.parametrize("number", range(6))
async def test_the_same_email_again(client, number):
    user = {"email": "e2e_test@example.com", "name": "Ada"}
    assert (await client.post("/users", json=user)).status_code == 201
""",
    "e2e/test_email.py": """
def test_the_same_email_again(http):
    user = {"email": "e2e_test@example.com", "name": "Ada"}
    assert http.post("/users", json=user).status_code == 201
""",
}
TELLS = '''"""Tells what is on the server while its service uses both databases."""

import subprocess

from testdb.service import fresh_service

with fresh_service(__file__) as client:
    client.get("/users").raise_for_status()
    client.get("/candles/BTCUSD").raise_for_status()
    subprocess.run(["invoke", "db.list", "--json"], check=True)
'''
SHOWS = '''"""Shows the arguments of all processes, and fails, which shows the service's log."""

from contextlib import suppress
from pathlib import Path

from testdb.service import fresh_service

with fresh_service(__file__):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_bytes().replace(b"\\0", b" ").decode(errors="replace")
            if "testdb" in command or "run_all" in command:
                print(command)
    raise ValueError("no luck")
'''
CRASHES = """
raise RuntimeError("no service today")
"""
STUBBORN = """
import signal, subprocess, sys, tempfile
from testdb import child

IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); " \\
    "signal.pause()"
with tempfile.TemporaryFile() as output:
    with child.running(["-c", IGNORES], {}, output=output.fileno()) as process:
        while not child.tail(output.fileno()):
            assert process.poll() is None
    print(process.returncode)
"""


def test_a_two_logical_databases_come_and_go_together(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    project = new_project(databases="two").with_shell(**external_server.variables)
    project.run("invoke", "db.create", "--demo")
    created = external_server.in_use()
    assert {name.split("_")[4] for name in created} == {"main", "timeseries"}
    assert len({name.split("_")[2] for name in created}) == 1, "they belong to several runs"
    project.run("invoke", "db.drop", created[0].split("_")[2])
    assert external_server.in_use() == []

    project.write("examples/example_tells.py", TELLS)
    told = json.loads(project.run("python", "examples/example_tells.py").stdout)
    used = [row for row in told if row["kind"] == "example"]
    assert {(row["logical"], row["alive"]) for row in used} == {
        ("main", True),
        ("timeseries", True),
    }
    assert len({row["run"] for row in used}) == 1
    assert external_server.in_use() == []


def test_a_the_same_email_passes_three_runs_in_a_row_and_two_at_once(
    project: Project, external_server: ExternalServer
) -> None:
    for path, text in TESTS.items():
        project.write(f"tests/{path}", text)
    command = ("pytest", *(f"tests/{path}" for path in TESTS))
    project.run(*command).expect("7 passed")
    runs = [project.start(*command, "-n", "2"), project.start(*command)]
    for run in runs:
        project.finish(run).expect("7 passed")
    project.run(*command).expect("7 passed")
    assert external_server.in_use() == []


def test_a_service_that_crashes_at_start_is_reported_with_its_log(
    project: Project, external_server: ExternalServer
) -> None:
    project.replace("testdb/serve.py", "    child.end", f"    {CRASHES.strip()}\n    child.end")
    done = project.run("python", "examples/example_health.py", code=1)
    done.expect(
        "The service ended with exit code 1 before it answered.",
        "RuntimeError: no service today",
    )
    assert external_server.in_use() == []


def test_a_stubborn_service_is_killed(project: Project) -> None:
    assert project.run("python", "-c", STUBBORN).stdout == "-9\n"


def test_a_no_process_shows_the_password(project: Project) -> None:
    project.write("examples/example_shows.py", SHOWS)
    done = project.run("python", "examples/run_all.py", "shows", code=1)
    done.expect("no luck", "testdb.serve", "testdb.child", "run_all.py")
    done.expect_none_of(*spellings_of_the_password())
