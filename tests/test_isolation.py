"""Isolation under fire: hundreds of tests that would meet each other, and tests that misbehave.

Each test here writes tests into a baked project, runs them there, and reads the report.
"""

import re
from itertools import product
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.project import NewProject, Project

MIXED = '''
"""Tests of all three ways that write the same rows, use one sequence, change one table."""

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
    if number % 2 == 0:
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


@pytest.mark.timeout(2, func_only=True)
async def test_hangs(client):
    time.sleep(60)


async def test_defers(session):
    await session.execute(text(
        "CREATE TABLE child (parent int REFERENCES users DEFERRABLE INITIALLY DEFERRED)"
    ))
    await session.execute(text("INSERT INTO child VALUES (1)"))
    await session.commit()


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="it would end the whole run")
async def test_crashes(client):
    os._exit(1)
'''

NAMED: Final = {
    "a transaction left open": r"test_leaves_a_transaction_open left sessions open.*idle in tran",
    "a connection left open": r"test_leaks_an_engine left sessions open.*by .*test_leaks_an_engine",
    "a test that hangs": r"FAILED .*test_hangs - Failed: Timeout",
    "a deferred constraint, violated": r"ERROR .*test_defers - sqlalchemy.exc.Integri",
    "a worker that crashed": r"worker 'gw\d+' crashed while running '.*test_crashes'",
}
"""What the report says of each misbehaving test."""

KEPT = """
import pytest

from testdb.isolation import Way

WAYS = [pytest.param(way, marks=pytest.mark.isolation(way)) for way in Way]


@pytest.mark.parametrize("way", WAYS)
async def test_fails(client, way):
    await client.post("/users", json={"email": "ada@example.com", "name": "Ada"})
    assert not "as it should be"


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("way", WAYS)
async def test_passes(client, number, way):
    assert (await client.get("/users")).json() == []
"""

LEAVES_A_DATABASE = """
from testdb.ownership import Kind


def test_leaves_a_database(run):
    run.create("forgotten", Kind.WORKER)
"""

REACHES = """
def test_reaches(databases):
    pass


def test_connects():
    import psycopg
    psycopg.connect("host=127.0.0.1 dbname=x")
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

SECOND_HEAD = '''
"""Second."""

revision = "9999"
down_revision = "0001"


def upgrade() -> None: ...


def downgrade() -> None: ...
'''

ALL_COUNTS: Final = r"testdb: (\d+) databases created, (\d+) dropped, (\d+) kept, (\d+) left"
USAGE_ERROR: Final = pytest.ExitCode.USAGE_ERROR
long = pytest.mark.long


def write(project: Project, source: str) -> str:
    """Put tests into the project; returns the path for pytest."""
    return project.write("tests/integration/test_written.py", source)


def audit(done: Outcome) -> dict[str, int]:
    """Read the audit of a run."""
    counts = done.find(ALL_COUNTS).groups()
    return dict(zip(("created", "dropped", "kept", "left"), map(int, counts), strict=True))


no_workers_by_default = pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=long)])
two_workers_by_default = pytest.mark.parametrize("workers", ["2", pytest.param("0", marks=long)])


@no_workers_by_default
def test_a_lost_lease_is_taken_again_and_the_run_says_so(project: Project, workers: str) -> None:
    in_order = ("-p", "no:randomly", "--dist", "loadfile")
    done = project.run("pytest", write(project, LOSES_ITS_LEASE), "-n", workers, *in_order)
    done.expect("leases lost, and taken again before any sweep came: 1")
    assert audit(done)["left"] == 0


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
def test_tests_of_all_ways_never_meet(
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


@pytest.fixture(scope="module")
def misbehaved(new_project: NewProject, external_server: ExternalServer) -> Outcome:
    """Run one test of each kind that must not spoil the others, with two workers."""
    project = new_project().with_shell(**external_server.variables)
    done = project.run("pytest", "-v", write(project, MISBEHAVING), "-n", "2", code=1)
    assert external_server.in_use() == [], "the run left databases behind"
    return done


@pytest.mark.parametrize("kind", NAMED)
def test_a_test_that_misbehaves_is_named_and_the_others_pass(
    misbehaved: Outcome, kind: str
) -> None:
    misbehaved.find(NAMED[kind])
    misbehaved.expect_times(4, r"PASSED .*test_good\[")


@long
def test_without_workers_a_test_that_misbehaves_is_named_too(project: Project) -> None:
    done = project.run("pytest", "-v", write(project, MISBEHAVING), code=1)
    for pattern in [pattern for pattern in NAMED.values() if "worker" not in pattern]:
        done.find(pattern)
    done.expect_times(4, r"test_good\[\d\] PASSED")


def test_a_database_left_behind_fails_the_run(
    project: Project, external_server: ExternalServer
) -> None:
    done = project.run("pytest", write(project, LEAVES_A_DATABASE), code=1)
    left = done.find(r"testdb: left behind, now dropped: (\w+)")[1]
    assert left.split("_")[3] == "forgotten"
    assert audit(done)["left"] == 1
    done.expect("1 passed")
    assert external_server.in_use() == []


@no_workers_by_default
def test_an_engine_for_a_real_database_is_refused_before_the_first_byte(
    project: Project, external_server: ExternalServer, workers: str
) -> None:
    careless = project.write(
        "src/my_service/careless.py", CARELESS.format(url=f"{external_server.url}/precious")
    )
    command = ("pytest", write(project, SWALLOWS), "-n", workers)
    with external_server.database("precious") as connection:
        used = project.run(*command, code=None)
        project.write(careless, (project / careless).read_text() + "\n\ncount()\n")
        at_import = project.run(*command, code=None)
        sessions = "SELECT sessions FROM pg_stat_database WHERE datname = 'precious'"
        assert connection.execute(sessions).fetchall() == [(0,)]
    for done in (used, at_import):
        done.expect("'precious' was refused: it is not disposable")
        if done.code == 0:
            done.fail("to fail")


def test_unit_tests_reach_no_database_at_all(project: Project) -> None:
    path = project.write("tests/unit/test_written.py", REACHES)
    for test in ("test_reaches", "test_connects"):
        done = project.run("pytest", f"{path}::{test}", code=1)
        done.expect("Unit tests reach no database: move the test to tests/integration.")


def test_a_failed_test_keeps_its_databases_for_a_person(
    project: Project, external_server: ExternalServer
) -> None:
    done = project.run("pytest", write(project, KEPT), "--keep-failed-db", code=1)
    done.expect("3 failed, 6 passed")
    assert audit(done)["kept"] == 3
    project.run("invoke", "db.sweep")
    kept = re.findall(
        r"kept for 7 days .*test_fails\[(\w+)\].*\(invoke db.drop (\w+)\)", done.stdout
    )
    assert {way for way, _ in kept} == {"rollback", "reset", "clone"}
    for way, name in kept:
        with external_server.connect(name) as connection:
            assert connection.execute("SELECT name FROM users").fetchall() == [("Ada",)], way
    run = kept[0][1].split("_")[2]
    project.run("invoke", "db.drop", run)
    assert external_server.in_use() == []


@two_workers_by_default
def test_models_that_disagree_with_migrations_are_told_once_before_the_first_test(
    project: Project, workers: str
) -> None:
    project.run("pytest", "tests/integration/test_health.py")  # while they agree
    column = "    name: Mapped[str] ="
    project.replace("src/my_service/users.py", column, f"    age: Mapped[int]\n{column}")
    some = "tests/integration/test_users.py"
    done = project.run("pytest", some, "-n", workers, code=USAGE_ERROR)
    done.expect_times(1, "Models and migrations of the logical database main disagree")
    done.expect("age").expect_none_of("passed", "failed")


@two_workers_by_default
def test_two_heads_are_told_once_before_the_first_test(project: Project, workers: str) -> None:
    project.write("src/my_service/migrations/main/9999_second.py", SECOND_HEAD)
    done = project.run("pytest", "tests/integration", "-n", workers, code=USAGE_ERROR)
    done.expect_times(1, "have 2 heads").expect("9999").expect_none_of("passed", "failed")
