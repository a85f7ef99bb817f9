"""Async tests and the app that they test: one factory, one lifespan, and no shared event loop."""

import pytest

from harness.parameters import long
from harness.project import Project

SUITE = '''
"""Async tests of a service whose lifespan leaves a mark, in numbers."""

import pytest
from sqlalchemy import select, text

from my_service.users import User

ADA = {{"email": "e2e_test@example.com", "name": "Ada"}}


async def test_the_session_comes_from_the_factory_of_the_routes(app, session):
    assert session.bind is app.state.databases.sessions["main"].kw["bind"]


@pytest.mark.parametrize("number", range({each}))
async def test_a_route_sees_what_the_test_wrote(client, session, number):
    session.add(User(**ADA))
    await session.commit()
    assert [user["name"] for user in (await client.get("/users")).json()] == ["Ada"]


@pytest.mark.parametrize("number", range({each}))
async def test_the_test_sees_what_a_route_wrote(client, session, number):
    assert (await client.post("/users", json=ADA)).status_code == 201
    assert (await session.scalars(select(User.name))).all() == ["Ada"]


@pytest.mark.isolation("reset")
@pytest.mark.parametrize("number", range({each}))
async def test_no_connection_is_left_and_no_loop_meets_another(client, session, number):
    await client.post("/users", json=ADA)
    pids = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await session.scalar(text(pids)) <= 3  # the resetter's, a route's, and this one


async def test_the_lifespan_runs(app):
    assert app.state.databases.engines
'''


@pytest.mark.parametrize(
    ("loops", "workers", "each"),
    [
        ("function", 0, 35),
        pytest.param("function", 0, 200, marks=long),
        pytest.param("function", 2, 200, marks=long),
        pytest.param("session", 0, 200, marks=long),
        pytest.param("session", 2, 200, marks=long),
    ],
)
def test_many_async_tests_share_no_loop_and_leak_no_connection(
    project: Project, loops: str, workers: int, each: int
) -> None:
    """Scenario B."""
    path = project.write("tests/integration/test_event_loops.py", SUITE.format(each=each))
    scopes = [f"-oasyncio_default_{kind}_loop_scope={loops}" for kind in ("fixture", "test")]
    done = project.run("pytest", path, "-n", str(workers), *scopes)
    # One for each worker, and one to check the migrations: no reset had to be mended by a clone.
    databases = max(workers, 1) + 1
    done.expect(
        f"{3 * each + 2} passed",
        f"testdb: {databases} databases created, {databases} dropped, 0 kept, 0 left",
    )
