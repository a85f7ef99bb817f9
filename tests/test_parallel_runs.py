"""Workers and runs at the same time: each commits the same e-mail, in databases of its own."""

from typing import Final

from harness.external import ExternalServer
from harness.gate import WAIT, Gate
from harness.parameters import LOGICAL, one_by_default
from harness.project import NewProject, Project

WAITS: Final = f'''
"""Tests that hold what they have committed until somebody has looked at the server."""

import pytest

from my_service.users import User
{WAIT}

@pytest.mark.isolation("reset")
@pytest.mark.parametrize("twin", [1, 2])
def test_waits(sync_session, worker, twin):
    sync_session.add(User(email="e2e_test@example.com", name="Ada"))
    sync_session.commit()
    wait_at_the_gate()
'''

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


@one_by_default
def test_two_workers_commit_the_same_email_at_the_same_time_and_db_list_shows_both(
    new_project: NewProject, gate: Gate, databases: str
) -> None:
    """Scenario A; for what the header says, Scenario C and Scenario D."""
    project = new_project(databases=databases).with_shell(**gate.variables)
    path = project.write("tests/integration/test_waits.py", WAITS)
    running = project.start("pytest", "-n", "2", path)
    project.wait_for(running, lambda: len(gate.arrived()) == 2, "to commit in both workers")
    during = project.databases()
    gate.open()
    done = project.finish(running)
    assert {(row["worker"], row["logical"]) for row in during} == {
        (worker, logical) for worker in ("gw0", "gw1") for logical in LOGICAL[databases]
    }
    assert {(row["kind"], row["alive"], row["kept"]) for row in during} == {("worker", True, False)}
    assert len({row["run"] for row in during}) == 1
    check_header(done.stdout, databases)


def check_header(output: str, databases: str) -> None:
    """Check that two environments can be compared by what is printed."""
    header = "\n".join(line for line in output.splitlines() if line.startswith("testdb:"))
    sets = f"2 x {' + '.join(sorted(LOGICAL[databases]))}"
    for part in ("PostgreSQL 18", "fsync", "synchronous_commit", "template", sets):
        assert part in header, f"{part!r} is not in the header:\n{header}"


def test_the_same_email_passes_three_runs_in_a_row_and_two_at_once(
    project: Project, external_server: ExternalServer
) -> None:
    """Scenario A."""
    for path, text in TESTS.items():
        project.write(f"tests/{path}", text)
    command = ("pytest", *(f"tests/{path}" for path in TESTS))
    project.run(*command).expect("7 passed")
    runs = [project.start(*command, "-n", "2"), project.start(*command)]
    for run in runs:
        project.finish(run).expect("7 passed")
    project.run(*command).expect("7 passed")
    assert external_server.in_use() == []
