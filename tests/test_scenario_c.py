"""Scenario C: a smoke test that failed only in CI."""

import re

from harness.project import Project

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


def test_c_the_journey_is_an_example_in_18_requests(project: Project) -> None:
    shown = project.run("python", JOURNEY)
    shown.expect_none_of("correct horse")
    steps = re.findall(r"^ ?(\d+)\. ", shown.stdout, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 19)]


def test_c_in_ci_no_test_is_skipped_and_none_starts_before_the_migrations(project: Project) -> None:
    command = ("pytest", "tests/integration/test_users.py", "--cold-template")
    done = project.run(*command, env={"CI": "true", "GITHUB_ACTIONS": "true"})  # in random order
    done.find(r"= 5 passed in ")


def test_c_what_a_request_commits_everybody_sees(project: Project) -> None:
    path = project.write("tests/integration/test_seen.py", SEEN)
    project.run("pytest", path).expect("3 passed")
