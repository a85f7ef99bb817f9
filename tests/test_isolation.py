"""Isolation under fire: hundreds of tests that would meet each other, and tests that misbehave.

Each test here writes tests into a baked project, runs them there, and reads the report.
"""

import re
from pathlib import Path

import psycopg
import pytest

from conftest import Bake
from harness.environment import Environment
from harness.external import ExternalServer

MIXED = '''
"""Tests of all three ways that write the same rows, use one sequence, change one table."""

import psycopg
import pytest
from sqlalchemy import text

from my_service.users import User
from testdb.isolation import Way

ADA = {{"email": "e2e_test@example.com", "name": "Ada"}}
WAYS = [pytest.param(way, marks=pytest.mark.isolation(way)) for way in Way]
MANY = pytest.mark.parametrize("number", range({each}))
NICKNAMES = text("SELECT count(*) FROM information_schema.columns WHERE column_name = 'nickname'")


async def sees_nobody(execute, way):
    assert await execute(text("SELECT count(*) FROM users")) == 0
    assert await execute(NICKNAMES) == 0
    if way is not Way.ROLLBACK:
        assert await execute(text("SELECT nextval('users_id_seq')")) == 1


@MANY
@pytest.mark.parametrize("way", WAYS)
async def test_through_the_service(client, session, way, number):
    await sees_nobody(session.scalar, way)
    await session.commit()
    assert (await client.post("/users", json=ADA)).status_code == 201
    if number % 25 == 0:
        await session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
        await session.commit()


@MANY
@pytest.mark.parametrize("way", WAYS)
def test_without_a_loop(sync_session, way, number):
    execute = sync_session.scalar
    assert execute(text("SELECT count(*) FROM users")) == 0
    assert execute(NICKNAMES) == 0
    if way is not Way.ROLLBACK:
        assert execute(text("SELECT nextval('users_id_seq')")) == 1
    sync_session.add(User(**ADA))
    sync_session.commit()
'''

MISBEHAVING = '''
"""One test of each kind that must not spoil the others."""

import os
import time

import psycopg
import pytest
from sqlalchemy import create_engine, text


@pytest.mark.parametrize("number", range(4))
async def test_good(client, number):
    assert (await client.post("/users", json={"email": "a@b.c", "name": "A"})).status_code == 201


@pytest.mark.isolation("reset")
async def test_leaves_a_transaction_open(app):
    session = app.state.databases.sessions["main"]()
    await session.execute(text("INSERT INTO users (email, name) VALUES ('a@b.c', 'A')"))
    globals()["kept"] = session


@pytest.mark.isolation("reset")
def test_leaks_an_engine(databases):
    globals()["engine"] = engine = create_engine(databases.urls["main"])
    with engine.connect():
        pass


@pytest.mark.timeout(2)
async def test_hangs(client):
    time.sleep(60)
'''

CRASHES = """

async def test_crashes(client):
    os._exit(1)
"""

CARELESS = '''
"""A module of the service whose author made an engine for a real database, at import."""

from sqlalchemy import create_engine, text

engine = create_engine("{url}")


def count():
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 1"))
'''

SWALLOWS = """
import my_service.careless


def test_swallows_the_refusal(run):
    try:
        my_service.careless.count()
    except Exception:
        pass
"""

LOSES_ITS_LEASE = """
def test_loses_the_lease(run):
    other = run.second()
    lost = run.connection.info.backend_pid
    other.connection.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
    other.connection.close()


async def test_goes_on(client):
    assert (await client.get("/health")).status_code == 200
"""

ALL_COUNTS = re.compile(r"testdb: (\d+) databases created, (\d+) dropped, (\d+) kept, (\d+) left")


@pytest.fixture
def project(bake: Bake) -> Path:
    """Have a fresh project with one logical database."""
    return bake(databases="one")


def write(project: Path, source: str) -> str:
    """Put tests into the project; returns the path for pytest."""
    (project / "tests" / "integration" / "test_written.py").write_text(source)
    return "tests/integration/test_written.py"


def audit(output: str) -> dict[str, int]:
    """Read the audit of a run."""
    (counts,) = ALL_COUNTS.findall(output)
    return dict(zip(("created", "dropped", "kept", "left"), map(int, counts), strict=True))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_lost_lease_is_taken_again_and_the_run_says_so(
    project: Path, environment: Environment, workers: str
) -> None:
    path = write(project, LOSES_ITS_LEASE)
    in_order = ("-p", "no:randomly", "--dist", "loadfile")
    output = environment.run(project, "pytest", path, "-n", workers, *in_order).stdout
    assert "leases lost, and taken again before any sweep came: 1" in output
    assert audit(output)["left"] == 0


@pytest.mark.parametrize(
    ("workers", "seed", "loops"),
    [("0", "1", "session"), ("2", "2", "session"), ("2", "3", "function")],
)
def test_tests_of_all_ways_never_meet(
    project: Path, environment: Environment, workers: str, seed: str, loops: str
) -> None:
    seeded = f"--randomly-seed={seed}"
    run_mixed(project, environment, 5, "-n", workers, seeded, *loop_scope(loops))


@pytest.mark.long
@pytest.mark.parametrize("loops", ["session", "function"])
@pytest.mark.parametrize("workers", ["0", "2", "4"])
def test_500_tests_of_all_ways_never_meet_with_ten_seeds(
    project: Path, environment: Environment, workers: str, loops: str
) -> None:
    for seed in range(10):
        seeded = f"--randomly-seed={seed}"
        run_mixed(project, environment, 84, "-n", workers, seeded, *loop_scope(loops))


def loop_scope(scope: str) -> list[str]:
    return [f"-oasyncio_default_{kind}_loop_scope={scope}" for kind in ("fixture", "test")]


def run_mixed(project: Path, environment: Environment, each: int, *arguments: str) -> None:
    path = write(project, MIXED.format(each=each))
    done = environment.run(project, "pytest", path, *arguments)
    assert f"{6 * each} passed" in done.stdout
    counts = audit(done.stdout)
    assert counts["created"] == counts["dropped"]
    assert counts["left"] == counts["kept"] == 0


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_misbehaves_is_named_and_the_others_pass(
    project: Path, environment: Environment, workers: str
) -> None:
    source = MISBEHAVING + (CRASHES if workers != "0" else "")
    done = environment.run(project, "pytest", write(project, source), "-n", workers, check=False)
    output = done.stdout
    assert done.returncode == 1
    assert re.search(
        r"test_leaves_a_transaction_open left sessions open.*idle in transaction", output
    )
    assert re.search(
        r"test_leaks_an_engine left sessions open.*opened by .*test_leaks_an_engine", output
    )
    assert re.search(r"FAILED .*test_hangs - Failed: Timeout", output)
    if workers != "0":
        assert re.search(r"worker 'gw\d+' crashed while running '.*test_crashes'", output)
    assert not re.search(r"(FAILED|ERROR) .*test_good", output)
    assert environment.run(project, "invoke", "db.sweep", "--dry-run").stdout.count("would go") == 0


def test_deferred_constraints_are_checked_under_rollback(
    project: Path, environment: Environment
) -> None:
    path = write(
        project,
        """
from sqlalchemy import text

async def test_defers(session):
    await session.execute(text(
        "CREATE TABLE child (parent int REFERENCES users DEFERRABLE INITIALLY DEFERRED)"
    ))
    await session.execute(text("INSERT INTO child VALUES (1)"))
    await session.commit()
""",
    )
    done = environment.run(project, "pytest", path, check=False)
    assert "1 passed, 1 error" in done.stdout
    assert "ForeignKeyViolation" in done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_engine_for_a_real_database_is_refused_before_the_first_byte(
    project: Path, environment: Environment, external_server: ExternalServer, workers: str
) -> None:
    env = external_server.variables
    careless = project / "src" / "my_service" / "careless.py"
    careless.write_text(CARELESS.format(url=f"{external_server.url}/precious"))
    path = write(project, SWALLOWS)
    with external_server.connect() as connection:
        connection.execute("CREATE DATABASE precious")
        try:
            used = environment.run(project, "pytest", path, "-n", workers, env=env, check=False)
            careless.write_text(careless.read_text() + "\n\ncount()\n")
            at_import = environment.run(
                project, "pytest", path, "-n", workers, env=env, check=False
            )
            sessions = "SELECT sessions FROM pg_stat_database WHERE datname = 'precious'"
            assert connection.execute(sessions).fetchall() == [(0,)]
        finally:
            connection.execute("DROP DATABASE precious")
    for done in (used, at_import):
        assert done.returncode != 0
        output = done.stdout + done.stderr
        assert "'precious' was refused: it is not disposable" in output, output


def test_unit_tests_reach_no_database_at_all(project: Path, environment: Environment) -> None:
    (project / "tests" / "unit" / "test_written.py").write_text(
        "def test_reaches(databases):\n    pass\n\n"
        "def test_connects():\n    import psycopg\n    psycopg.connect('host=127.0.0.1 dbname=x')\n"
    )
    done = environment.run(project, "pytest", "tests/unit/test_written.py", check=False)
    assert done.returncode == 1
    assert "Unit tests reach no database: move the test to tests/integration." in done.stdout


@pytest.mark.parametrize("way", ["rollback", "reset", "clone"])
def test_a_failed_test_keeps_its_databases_for_a_person(
    project: Path, environment: Environment, way: str
) -> None:
    path = write(
        project,
        f"""
import psycopg
import pytest

pytestmark = pytest.mark.isolation("{way}")

async def test_fails(client):
    await client.post("/users", json={{"email": "ada@example.com", "name": "Ada"}})
    assert not "as it should be"

@pytest.mark.parametrize("number", [1, 2])
async def test_passes(client, number):
    assert (await client.get("/users")).json() == []
""",
    )
    done = environment.run(project, "pytest", path, "--keep-failed-db", check=False)
    assert "1 failed, 2 passed" in done.stdout
    assert audit(done.stdout)["kept"] == 1
    told = re.search(
        r"kept for 7 days .*test_fails.*: psql '(.+)' \(invoke db.drop (\w+)\)", done.stdout
    )
    assert told is not None
    environment.run(project, "invoke", "db.sweep")
    with psycopg.connect(told[1]) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("Ada",)]
    environment.run(project, "invoke", "db.drop", told[2])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_models_that_disagree_with_migrations_are_told_once_before_the_first_test(
    project: Path, environment: Environment, workers: str
) -> None:
    users = project / "src" / "my_service" / "users.py"
    column = "    name: Mapped[str]"
    users.write_text(users.read_text().replace(column, f"    age: Mapped[int]\n{column}", 1))
    done = environment.run(project, "pytest", "tests/integration", "-n", workers, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert output.count("Models and migrations of the logical database main disagree") == 1
    assert "passed" not in output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_two_heads_are_told_once_before_the_first_test(
    project: Path, environment: Environment, workers: str
) -> None:
    migrations = project / "src" / "my_service" / "migrations" / "main"
    (migrations / "9999_second.py").write_text(
        '"""Second."""\n\nrevision = "9999"\ndown_revision = "0001"\n\n'
        "def upgrade() -> None: ...\n\ndef downgrade() -> None: ...\n"
    )
    done = environment.run(project, "pytest", "tests/integration", "-n", workers, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert output.count("have 2 heads") == 1
