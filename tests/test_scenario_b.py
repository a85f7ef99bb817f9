"""Scenario B: routes that never saw the test's data, and loops that could not share an engine."""

from pathlib import Path

import pytest

from conftest import Bake
from harness.environment import Environment

SUITE = '''
"""Async tests of a service whose lifespan leaves a mark, in numbers."""

import pytest
from sqlalchemy import select, text

from my_service.users import User

ADA = {"email": "e2e_test@example.com", "name": "Ada"}


async def test_the_session_comes_from_the_factory_of_the_routes(app, session):
    assert session.bind is app.state.databases.sessions["main"].kw["bind"]


@pytest.mark.parametrize("number", range(100))
async def test_a_route_sees_what_the_test_wrote(client, session, number):
    session.add(User(**ADA))
    await session.commit()
    assert [user["name"] for user in (await client.get("/users")).json()] == ["Ada"]


@pytest.mark.parametrize("number", range(100))
async def test_the_test_sees_what_a_route_wrote(client, session, number):
    assert (await client.post("/users", json=ADA)).status_code == 201
    assert (await session.scalars(select(User.name))).all() == ["Ada"]


@pytest.mark.isolation("reset")
@pytest.mark.parametrize("number", range(50))
async def test_no_connection_is_left_and_no_loop_meets_another(client, session, number):
    await client.post("/users", json=ADA)
    pids = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await session.scalar(text(pids)) <= 3  # the resetter's, a route's, and this one


async def test_the_lifespan_runs(app):
    assert app.state.databases.engines
'''


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("loops", ["session", "function"])
def test_b_hundreds_of_async_tests_share_no_loop_and_leak_no_connection(
    bake: Bake, environment: Environment, loops: str, workers: str
) -> None:
    project = bake()
    path = project / "tests" / "integration" / "test_scenario_b.py"
    path.write_text(SUITE)
    scopes = [f"-oasyncio_default_{kind}_loop_scope={loops}" for kind in ("fixture", "test")]
    done = environment.run(project, "pytest", str(path), "-n", workers, *scopes)
    assert "252 passed" in done.stdout
    # One for each worker, and one to check the migrations: no reset had to be mended by a clone.
    databases = max(int(workers), 1) + 1
    audit = f"testdb: {databases} databases created, {databases} dropped, 0 kept, 0 left"
    assert audit in done.stdout


def test_b_a_database_of_real_life_is_never_the_default(
    bake: Bake, environment: Environment, tmp_path: Path
) -> None:
    """Their fixture took whatever URL was configured; here the configured one is not even read."""
    env = {"MY_SERVICE_DATABASE_URLS__MAIN": f"postgresql:///{tmp_path.name}?host={tmp_path}"}
    done = environment.run(bake(), "pytest", "tests/integration/test_users.py", env=env)
    assert " passed" in done.stdout
