"""Isolation: no test sees what another one commits; within a test everybody sees it.

Each test here writes tests into a baked project and runs them there.
"""

from itertools import product

import pytest

from harness.project import Project
from harness.suite import audit, write

MIXED = '''
"""Tests of all three modes that write the same rows, use one sequence, change one table."""

import pytest
from sqlalchemy import text

from my_service.users import User
from testdb.testing.isolation import IsolationMode

ADA = {{"email": "e2e_test@example.com", "name": "Ada"}}
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]
MANY = pytest.mark.parametrize("number", range({each}))
NICKNAMES = text("SELECT count(*) FROM information_schema.columns WHERE column_name = 'nickname'")


async def sees_nobody(execute, mode):
    assert await execute(text("SELECT count(*) FROM users")) == 0
    assert await execute(NICKNAMES) == 0
    if mode is not IsolationMode.ROLLBACK:
        assert await execute(text("SELECT nextval('users_id_seq')")) == 1


@MANY
@pytest.mark.parametrize("mode", MODES)
async def test_through_the_service(client, session, mode, number):
    await sees_nobody(session.scalar, mode)
    await session.commit()
    assert (await client.post("/users", json=ADA)).status_code == 201
    if number % 2 == 0:
        await session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
        await session.commit()


@MANY
@pytest.mark.parametrize("mode", MODES)
def test_without_a_loop(sync_session, mode, number):
    execute = sync_session.scalar
    assert execute(text("SELECT count(*) FROM users")) == 0
    assert execute(NICKNAMES) == 0
    if mode is not IsolationMode.ROLLBACK:
        assert execute(text("SELECT nextval('users_id_seq')")) == 1
    sync_session.add(User(**ADA))
    sync_session.commit()
'''

SEEN = '''
"""What one request commits, the next one, the test's session and a connection of its own see."""

import pytest
from sqlalchemy import select

from my_service.users import User


MODES = ("rollback", "reset", "clone")


@pytest.mark.parametrize("mode", [pytest.param(m, marks=pytest.mark.isolation(m)) for m in MODES])
async def test_seen(client, session, fetch_rows, mode):
    user = (await client.post("/users", json={"email": "ada@example.com", "name": "Ada"})).json()
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert await session.scalar(select(User.name)) == "Ada"
    assert [tuple(row) for row in await fetch_rows(select(User.name))] == [("Ada",)]
'''

long = pytest.mark.long


@pytest.mark.parametrize(
    ("each", "seeds"), [(5, 1), pytest.param(84, 10, marks=long)], ids=["30 tests", "504 tests"]
)
@pytest.mark.parametrize(
    ("workers", "loops"),
    [
        ("2", "session"),
        *(
            pytest.param(workers, loops, marks=long)
            for workers, loops in product("024", ("session", "function"))
            if (workers, loops) != ("2", "session")
        ),
    ],
)
def test_tests_of_all_modes_never_meet(
    project: Project, workers: str, loops: str, each: int, seeds: int
) -> None:
    path = write(project, MIXED.format(each=each))
    scopes = [f"-oasyncio_default_{kind}_loop_scope={loops}" for kind in ("fixture", "test")]
    for seed in range(seeds):
        done = project.run("pytest", path, "-n", workers, f"--randomly-seed={seed}", *scopes)
        done.expect(f"{6 * each} passed")
        counts = audit(done)
        assert counts["created"] == counts["dropped"]
        assert counts["left"] == counts["kept"] == 0


def test_what_a_request_commits_everybody_sees(project: Project) -> None:
    """Scenario C."""
    path = project.write("tests/integration/test_seen.py", SEEN)
    project.run("pytest", path).expect("3 passed")
