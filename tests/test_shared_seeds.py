"""Seeds: each test has the rows that its module, or the whole run, shares, whatever others did."""

import signal
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.parameters import (
    no_workers_by_default,
    one_by_default,
    two_by_default,
    two_workers_by_default,
)
from harness.project import NewProject, Project
from harness.suite import EVERY_WAY, audit, write

SEEDING: Final = '''
"""Stores a user and, in each database, a row of a table that only seeds make."""

import os

from functools import partial
from pathlib import Path

from my_service.users import User

FORGOTTEN = []


def seeding(databases, name):
    return databases.seeded(partial(store, name))


def store(name, sessions):
    with Path(os.environ["LOG"]).open("a") as log:
        print(name, file=log)
    for logical, session in sessions.items():
        FORGOTTEN.append(session.get_bind().connect())
        add = session.connection().exec_driver_sql
        add("CREATE TABLE IF NOT EXISTS told (id serial PRIMARY KEY, name text)")
        add("INSERT INTO told (name) VALUES (%s)", (f"{name} {logical}",))
    sessions["main"].add(User(email=f"{name}@example.com", name=name))
'''
FOR_ALL: Final = """
import pytest

from seeding import seeding


@pytest.fixture(scope="session", autouse=True)
def for_all(worker_databases):
    with seeding(worker_databases, "all"):
        yield
"""
OF_A_MODULE: Final = """
from seeding import seeding


@pytest.fixture(scope="module", autouse=True)
def of_module(worker_databases):
    with seeding(worker_databases, {name!r}):
        yield

"""
CHANGES: Final = """
from sqlalchemy import text

SEEDS = {seeds}
CHANGES = [
    "INSERT INTO told (name) VALUES ('new')",
    "UPDATE told SET name = 'changed'",
    "TRUNCATE told RESTART IDENTITY",
    "ALTER TABLE told ADD COLUMN more text",
]


@every_way
@pytest.mark.parametrize("change", CHANGES)
async def test_changes(sessions, client, change, way):
    for logical, session in sessions.items():
        told = (await session.scalars(text("SELECT name FROM told ORDER BY id"))).all()
        assert told == [f"{{seed}} {{logical}}" for seed in SEEDS]
        assert await session.scalar(text("SELECT nextval('told_id_seq')")) == len(SEEDS) + 1
        await session.execute(text(change))
        await session.commit()
    assert [user["name"] for user in (await client.get("/users")).json()] == SEEDS
    joan = (await client.post("/users", json={{"email": "j@example.com", "name": "J"}})).json()
    assert joan["id"] == len(SEEDS) + 1
"""
IN_E2E: Final = """
import pytest

from seeding import seeding


@pytest.fixture(scope="module", autouse=True)
def of_module(service_databases):
    with seeding(service_databases, "e2e"):
        yield


CLONE = pytest.param(3, marks=pytest.mark.isolation("clone"))


@pytest.mark.parametrize("time", [1, 2, CLONE])
def test_through_the_service(http, time):
    assert [user["name"] for user in http.get("/users").json()] == ["e2e"]
    new = {"email": "joan@example.com", "name": "Joan"}
    assert http.post("/users", json=new).json()["id"] == 2
"""
UNSEEDED: Final = """
def test_finds_none(http):
    new = {"email": "joan@example.com", "name": "Joan"}
    assert http.post("/users", json=new).json()["id"] == 1
"""
FAILS: Final = """
from my_service.users import User


@pytest.fixture(scope="module")
def twins(worker_databases):
    with worker_databases.seeded(store_twins):
        yield


def store_twins(sessions):
    for _ in range(2):
        sessions["main"].add(User(email="ada@example.com", name="Ada"))
        sessions["main"].flush()


@twice
def test_has_none(twins, sync_session, time): ...


@pytest.fixture(scope="module")
def from_async(worker_databases):
    async def store_one(sessions): ...

    with worker_databases.seeded(store_one):
        yield


def test_has_none_of_them(from_async, sync_session): ...


@twice
def test_seeds_too_late(databases, worker_databases, time):
    with worker_databases.seeded(store_twins):
        pass


@every_way
async def test_knows_of_none(client, way):
    assert (await client.get("/users")).json() == []
"""
ENDS: Final = """
import os

import pytest

from seeding import seeding


@pytest.fixture(scope="module", autouse=True)
def of_module(worker_databases):
    with seeding(worker_databases, "last"):
        yield


def test_ends(databases):
    {end}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Have a file to which seeds that are stored are written, by their names."""
    return tmp_path / "log"


@pytest.fixture
def seeding(
    new_project: NewProject, external_server: ExternalServer, databases: str, log: Path
) -> Project:
    """Have a project on the external server, with what stores seeds."""
    project = new_project(databases=databases)
    project.write("seeding.py", SEEDING)
    return project.with_shell(**external_server.variables, LOG=str(log))


@two_by_default
@no_workers_by_default
def test_each_test_finds_the_seeds_of_its_module_and_of_all(
    seeding: Project, log: Path, workers: str
) -> None:
    seeding.write("tests/integration/conftest.py", FOR_ALL)
    paths = []
    for name in ("first", "second"):
        text = EVERY_WAY + OF_A_MODULE.format(name=name) + CHANGES.format(seeds=["all", name])
        paths.append(seeding.write(f"tests/integration/test_{name}.py", text))
    paths.append(write(seeding, EVERY_WAY + CHANGES.format(seeds=["all"])))
    done = seeding.run("pytest", *paths, "-n", workers)
    done.expect("24 passed")
    counts = audit(done)
    assert counts["created"] == counts["dropped"]
    assert counts["left"] == counts["kept"] == 0
    done.expect_times(1, "databases? cloned anew instead of reset: ")
    done.expect("cloned anew instead of reset: the schema was changed")
    if workers == "0":
        assert Counter(log.read_text().split()) == {"all": 1, "first": 1, "second": 1}


@one_by_default
@two_workers_by_default
def test_a_service_of_its_own_has_seeds_too(seeding: Project, workers: str) -> None:
    paths = [
        seeding.write(f"tests/e2e/test_{name}.py", text)
        for name, text in {"seeded": IN_E2E, "unseeded": UNSEEDED}.items()
    ]
    done = seeding.run("pytest", *paths, "-n", workers)
    done.expect("4 passed").expect_none_of("cloned anew")
    counts = audit(done)
    assert counts["created"] == counts["dropped"]
    assert counts["left"] == 0


def test_seeds_that_cannot_be_stored_are_told_by_the_owners_line(project: Project) -> None:
    path = write(project, EVERY_WAY + FAILS)
    done = project.run("pytest", path, code=1)
    done.expect("2 failed, 2 passed, 3 errors", "async function stores none")
    line = 1 + (EVERY_WAY + FAILS).splitlines().index('        sessions["main"].flush()')
    done.expect(f"No seeds were stored. {path}:{line}: ").expect("UniqueViolation")
    done.find(r"A test uses the databases already.*scope=\"module\"")
    done.expect_none_of("Traceback", "testdb/testing/", "contextlib", "left behind", "[parameters")
    counts = audit(done)
    assert counts["created"] == counts["dropped"]


@pytest.mark.parametrize("databases", ["one"])
def test_a_kept_database_holds_seeds_and_a_killed_run_leaves_none(
    seeding: Project, external_server: ExternalServer
) -> None:
    path = write(seeding, ENDS.format(end="assert not databases"))
    done = seeding.run("pytest", path, "--keep-failed-db", code=1)
    assert audit(done)["kept"] == 1
    (kept,) = external_server.in_use()
    with external_server.connect(kept) as connection:
        assert connection.execute("SELECT name FROM told").fetchall() == [("last main",)]
    external_server.drop_in_use()

    path = write(seeding, ENDS.format(end="os.kill(os.getpid(), 9)"))
    seeding.run("pytest", path, code=-signal.SIGKILL)
    assert len(external_server.in_use()) == 2
    seeding.run("invoke", "db.sweep")
    assert external_server.in_use() == []
