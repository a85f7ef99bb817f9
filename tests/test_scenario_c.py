"""Scenario C: a smoke test that failed only in CI."""

import re
from pathlib import Path

from conftest import Bake
from harness.environment import Environment

JOURNEY = "examples/example_auth_journey.py"
SEEN = '''
"""What one request commits, the next one, the test's session and a connection of its own see."""

import pytest
from sqlalchemy import select

from my_service.users import User


WAYS = ("rollback", "reset", "clone")


@pytest.mark.parametrize("way", [pytest.param(w, marks=pytest.mark.isolation(w)) for w in WAYS])
async def test_seen(client, session, stored, way):
    user = (await client.post("/users", json={"email": "ada@example.com", "name": "Ada"})).json()
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert await session.scalar(select(User.name)) == "Ada"
    assert [tuple(row) for row in await stored(select(User.name))] == [("Ada",)]
'''
SECOND_HEAD = """
revision = "9999"
down_revision = None


def upgrade() -> None:
    pass
"""


def test_c_the_journey_is_an_example_in_18_requests_and_an_e2e_test(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    shown = environment.run(project, "python", JOURNEY).stdout
    assert re.findall(r"^ ?(\d+)\. ", shown, re.MULTILINE) == [str(n + 1) for n in range(18)]
    assert "correct horse" not in shown
    e2e = environment.run(project, "pytest", "tests/e2e", "-v", "-k", "journey").stdout
    assert "test_example[example_auth_journey.py] PASSED" in e2e


def test_c_ci_changes_nothing_and_no_test_starts_before_the_migrations(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    counts = []
    for env in ({}, {"CI": "true", "GITHUB_ACTIONS": "true"}):
        command = ("pytest", "tests/integration", "-n", "2", "--cold-template")
        done = environment.run(project, *command, env=env)  # in random order
        counts.append(re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout))
    assert counts[0] == counts[1]
    assert len(counts[0]) == 1


def check_refused(environment: Environment, project: Path, reason: str) -> None:
    done = environment.run(project, "pytest", "tests/integration", "-n", "2", check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert len(re.findall(reason, said)) == 1, said
    assert "passed" not in said
    assert "failed" not in said


def test_c_models_that_disagree_with_the_migrations_end_the_run_before_its_first_test(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    users = project / "src" / "my_service" / "users.py"
    column = "    name: Mapped[str] = mapped_column(String(100))\n"
    text = users.read_text()
    assert column in text
    users.write_text(text.replace(column, column + column.replace("name", "nickname")))
    check_refused(environment, project, "nickname")


def test_c_two_heads_end_the_run_before_its_first_test(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    migrations = project / "src" / "my_service" / "migrations" / "main"
    (migrations / "9999_second.py").write_text(SECOND_HEAD)
    check_refused(environment, project, "9999")


def test_c_what_a_request_commits_everybody_sees(bake: Bake, environment: Environment) -> None:
    project = bake()
    (project / "tests" / "integration" / "test_seen.py").write_text(SEEN)
    done = environment.run(project, "pytest", "tests/integration/test_seen.py")
    assert "3 passed" in done.stdout


def test_c_the_header_compares_environments(bake: Bake, environment: Environment) -> None:
    done = environment.run(bake(), "pytest", "tests/integration/test_users.py", "-n", "2")
    header = "\n".join(line for line in done.stdout.splitlines() if line.startswith("testdb:"))
    for part in ("PostgreSQL", "fsync", "synchronous_commit", "template", "2 x main"):
        assert part in header, done.stdout
    assert "2 workers" in done.stdout
