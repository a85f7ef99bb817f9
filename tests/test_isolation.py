"""Isolation: no test sees what another one commits, in whatever way either is isolated.

Each test here writes tests into a baked project and runs them there.
"""

from itertools import product

import pytest

from harness.parameters import long
from harness.project import Project
from harness.suite import audit, loop_scopes, write

MIXED = '''
"""Tests of both ways that write the same rows, use one sequence, change one table."""

import pytest
from sqlalchemy import text

from my_service.users import User

ADA = {{"email": "e2e_test@example.com", "name": "Ada"}}
MARKED = [pytest.param(way, marks=pytest.mark.isolation(way)) for way in ("reset", "clone")]
EVERY_WAY = pytest.mark.parametrize("way", ["not marked", *MARKED])
MANY = pytest.mark.parametrize("number", range({each}))
NICKNAMES = text("SELECT count(*) FROM information_schema.columns WHERE column_name = 'nickname'")


@MANY
@EVERY_WAY
async def test_through_the_service(client, session, way, number):
    assert await session.scalar(text("SELECT count(*) FROM users")) == 0
    assert await session.scalar(NICKNAMES) == 0
    assert await session.scalar(text("SELECT nextval('users_id_seq')")) == 1
    await session.commit()
    assert (await client.post("/users", json=ADA)).status_code == 201
    if number % 2 == 0:
        await session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
        await session.commit()


@MANY
@EVERY_WAY
def test_without_a_loop(sync_session, databases, worker_databases, way, number):
    assert (databases == worker_databases.databases) == (way != "clone")
    assert sync_session.scalar(text("SELECT count(*) FROM users")) == 0
    assert sync_session.scalar(NICKNAMES) == 0
    assert sync_session.scalar(text("SELECT nextval('users_id_seq')")) == 1
    sync_session.add(User(**ADA))
    sync_session.commit()
'''


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
def test_tests_of_both_ways_never_meet(
    project: Project, workers: str, loops: str, each: int, seeds: int
) -> None:
    path = write(project, MIXED.format(each=each))
    scopes = loop_scopes(loops)
    for seed in range(seeds):
        done = project.run("pytest", path, "-n", workers, f"--randomly-seed={seed}", *scopes)
        done.expect(f"{6 * each} passed")
        counts = audit(done)
        assert counts["created"] == counts["dropped"]
        assert counts["left"] == counts["kept"] == 0
