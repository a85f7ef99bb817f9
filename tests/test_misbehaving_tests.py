"""Tests that fail, hang, crash or leave something: each is named, and the others pass.

Each test here writes tests into a baked project, runs them there, and reads the report.
"""

import re
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.parameters import no_workers_by_default
from harness.project import NewProject, Project
from harness.suite import audit, write

MISBEHAVING = '''
"""One test of each kind that must not spoil the others."""

import os
import time

import httpx
import pytest
from sqlalchemy import create_engine, text

from testdb.processes.service import start_service


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


@pytest.mark.isolation("clone")
def test_leaves_a_service_running(databases):
    globals()["service"] = service = start_service(databases)
    httpx.get(service.__enter__().url + "/users").raise_for_status()


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
    "a transaction left open": r"test_leaves_a_transaction_open left sessions open.*idle in tran"
    r".*opened by the service, or a session fixture",
    "a connection left open": r"test_leaks_an_engine left sessions open.*by .*test_leaks_an_engine",
    "a service left running": r"test_leaves_a_service_running left sessions open, which were ended",
    "a test that hangs": r"FAILED .*test_hangs - Failed: Timeout",
    "a deferred constraint, violated": r"FAILED .*test_defers - sqlalchemy.exc.Integr",
    "a worker that crashed": r"worker 'gw\d+' crashed while running '.*test_crashes'",
}
"""What the report says of each misbehaving test."""

KEPT = """
import pytest

from testdb.testing.isolation import IsolationMode

MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]


@pytest.mark.parametrize("mode", MODES)
async def test_fails(client, mode):
    await client.post("/users", json={"email": "ada@example.com", "name": "Ada"})
    assert not "as it should be"


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("mode", MODES)
async def test_passes(client, number, mode):
    assert (await client.get("/users")).json() == []
"""

LEAVES_A_DATABASE = """
from testdb.identity.disposable import Kind


def test_leaves_a_database(run):
    run.create("forgotten", Kind.WORKER)
"""

LOSES_ITS_LEASE = """
def test_loses_the_lease(run):
    other = run.new_lease()
    lost = run.connection.info.backend_pid
    other.connection.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
    other.close()


async def test_goes_on(client):
    assert (await client.get("/health")).status_code == 200
"""


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


@pytest.mark.long
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


def test_a_failed_test_keeps_its_databases_for_a_person(
    project: Project, external_server: ExternalServer
) -> None:
    done = project.run("pytest", write(project, KEPT), "--keep-failed-db", code=1)
    done.expect("2 failed, 4 passed")
    assert audit(done)["kept"] == 2
    project.run("invoke", "db.sweep")
    kept = re.findall(
        r"kept for 7 days .*test_fails\[(\w+)\].*db.shell --on (\w+) \(invoke db.drop \2\)",
        done.stdout,
    )
    assert {mode for mode, _ in kept} == {"reset", "clone"}
    for mode, name in kept:
        with external_server.connect(name) as connection:
            assert connection.execute("SELECT name FROM users").fetchall() == [("Ada",)], mode
    run = kept[0][1].split("_")[2]
    project.run("invoke", "db.drop", run)
    assert external_server.in_use() == []


@no_workers_by_default
def test_a_lost_lease_is_taken_again_and_the_run_says_so(project: Project, workers: str) -> None:
    in_order = ("-p", "no:randomly", "--dist", "loadfile")
    done = project.run("pytest", write(project, LOSES_ITS_LEASE), "-n", workers, *in_order)
    done.expect("leases lost, and taken again before any sweep came: 1")
    assert audit(done)["left"] == 0
