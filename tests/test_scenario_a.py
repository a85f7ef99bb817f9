"""Scenario A: a trading API whose end-to-end tests polluted production.

Its other lines are the examples' business: tests/test_examples.py; sweeps and look-alikes are in
tests/chaos/test_nothing_real_is_dropped.py.
"""

import json

from conftest import Bake
from harness.environment import Environment
from harness.examples import left
from harness.external import ExternalServer, spellings_of_the_password

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


def test_a_two_logical_databases_come_and_go_together(bake: Bake, environment: Environment) -> None:
    project = bake(databases="two")
    environment.run(project, "invoke", "db.create", "--demo")
    created = left(environment, project)
    assert {name.split("_")[4] for name in created} == {"main", "timeseries"}
    (run,) = {name.split("_")[2] for name in created}
    environment.run(project, "invoke", "db.drop", run)
    assert left(environment, project) == []

    (project / "examples" / "example_tells.py").write_text(TELLS)
    told = json.loads(environment.run(project, "python", "examples/example_tells.py").stdout)
    used = [row for row in told if row["kind"] == "example"]
    assert {(row["logical"], row["alive"]) for row in used} == {
        ("main", True),
        ("timeseries", True),
    }
    assert len({row["run"] for row in used}) == 1
    assert left(environment, project) == []


def test_a_the_same_email_passes_three_runs_in_a_row_and_two_at_once(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    for path, text in TESTS.items():
        (project / "tests" / path).write_text(text)
    command = ("pytest", *(f"tests/{path}" for path in TESTS))
    for workers in ("0", "0", "0", "2", "2", "2"):
        assert "7 passed" in environment.run(project, *command, "-n", workers).stdout
    with (
        environment.start(project, *command, "-n", "2") as one,
        environment.start(project, *command) as other,
    ):
        outputs = [run.communicate()[0] for run in (one, other)]
    assert all("7 passed" in output for output in outputs), "\n".join(outputs)
    assert left(environment, project) == []


def test_a_service_that_crashes_at_start_is_reported_with_its_log(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    serve = project / "testdb" / "serve.py"
    serve.write_text(
        serve.read_text().replace("    child.end", f"    {CRASHES.strip()}\n    child.end")
    )
    done = environment.run(project, "python", "examples/example_health.py", check=False)
    assert done.returncode == 1
    assert "The service ended with exit code 1 before it answered." in done.stderr
    assert "RuntimeError: no service today" in done.stderr
    assert left(environment, project) == []


def test_a_stubborn_service_is_killed(bake: Bake, environment: Environment) -> None:
    project = bake()
    assert environment.run(project, "python", "-c", STUBBORN).stdout == "-9\n"


def test_a_no_process_shows_the_password(
    bake: Bake, environment: Environment, external_server: ExternalServer
) -> None:
    project = bake()
    (project / "examples" / "example_shows.py").write_text(SHOWS)
    command = ("python", "examples/run_all.py", "shows")
    done = environment.run(project, *command, env=external_server.variables, check=False)
    assert "no luck" in done.stdout
    for ours in ("testdb.serve", "testdb.child", "run_all.py"):
        assert ours in done.stdout
    for spelling in spellings_of_the_password():
        assert spelling not in done.stdout + done.stderr
