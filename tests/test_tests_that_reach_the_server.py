"""Tests that change the server itself: what they leave is named, and no database is immortal.

Each test here writes tests into a baked project, runs them there, and reads the audit.
"""

import re
from typing import Final

import pytest
from psycopg import sql

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.parameters import no_workers_by_default
from harness.project import Project
from harness.suite import audit, write

IN_ORDER: Final = ("-p", "no:randomly")
SOMEBODY_ELSE: Final = "created, and then dropped or renamed by somebody else"
LEFT: Final = r"testdb: left behind, now dropped: (\w+)"

MAKES_A_ROLE = """
import pytest
from sqlalchemy import text


@pytest.mark.isolation("clone")
def test_makes_a_role(sync_session):
    sync_session.execute(text("CREATE ROLE left_by_a_test"))
    sync_session.execute(text("CREATE ROLE dropped_by_a_test"))
    sync_session.execute(text("DROP ROLE dropped_by_a_test"))
    sync_session.commit()
"""

PREPARES = """
import pytest
from sqlalchemy import text

from testdb.identity.disposable import Kind


@pytest.mark.isolation("{mode}")
def test_prepares_a_transaction(sync_session):
    sync_session.execute(text("INSERT INTO users (email, name) VALUES ('a@b.c', 'A')"))
    sync_session.execute(text("PREPARE TRANSACTION 'left by a test'"))


def test_leaves_a_database(run):
    run.create("forgotten", Kind.WORKER)
"""

CHANGES_COMMENTS = """
import os
from datetime import UTC, datetime

import pytest
from psycopg import sql

from testdb.identity.disposable import Kind, Marker
from testdb.identity.project import PROJECT

OF_ANOTHER_RUN = Marker(
    run="0123456789", role="main", worker="main", logical="main", kind=Kind.WORKER,
    project=PROJECT, host="here", pid=1, created=datetime.now(UTC),
)
COMMENTS = {
    "none": None,
    "any text": "It's mine",
    "other JSON": "{}",
    "the marker of another run": OF_ANOTHER_RUN.model_dump_json(exclude_none=True),
}


@pytest.mark.parametrize("comment", COMMENTS)
@pytest.mark.parametrize(
    "mode", [pytest.param(m, marks=pytest.mark.isolation(m)) for m in ("reset", "clone")]
)
def test_changes_the_comment(sync_session, databases, comment, mode):
    change = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(str(databases.names["main"])), sql.Literal(COMMENTS[comment])
    )
    sync_session.connection().exec_driver_sql(change.as_string())
    sync_session.commit()
    assert "FAILS" not in os.environ
    if "CRASHES" in os.environ:
        os._exit(1)
"""

LOSES_DATABASES = """
import pytest

DROP, RENAME = 'DROP DATABASE "{}" WITH (FORCE)', 'ALTER DATABASE "{}" RENAME TO renamed_by_a_test'


def lose(run, databases, how):
    name = databases.names["main"]
    print(f"lost: {name}")
    # Else its name cannot be changed: what resets it is connected to it.
    run.connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
        [str(name)],
    )
    run.connection.execute(how.format(name))


@pytest.mark.isolation("clone")
@pytest.mark.parametrize("how", [DROP, RENAME])
def test_loses_its_clone(run, databases, how):
    lose(run, databases, how)


@pytest.mark.isolation("reset")
def test_loses_the_database_of_the_worker(run, databases):
    lose(run, databases, DROP)


async def test_good(client):
    assert (await client.get("/users")).json() == []
"""


def test_roles_that_a_test_left_are_named(embedded_project: Project) -> None:
    """On the embedded server tests are superusers, so they can."""
    path = write(embedded_project, MAKES_A_ROLE)
    command = ("pytest", path, "--color", "yes")
    with_yellow = r"\x1b\[33mtestdb: roles made during this run[^:]*: left_by_a_test\b"
    embedded_project.run("invoke", "db.create")  # a kept database: the server stays for all of this
    embedded_project.run(*command).expect_times(1, with_yellow)
    again = embedded_project.run(*command, code=1)
    again.expect_times(0, "roles made during this run")


@pytest.mark.parametrize("mode", ["clone", pytest.param("reset", marks=pytest.mark.long)])
def test_prepared_transactions_that_a_test_left_are_named(
    project: Project, external_server: ExternalServer, mode: str
) -> None:
    """The database of one cannot be dropped; all others are."""
    path = write(project, PREPARES.format(mode=mode))
    try:
        done = project.run("pytest", path, *IN_ORDER, code=1)
        held = done.find(r"testdb: the prepared transaction 'left by a test' is left in (\w+)")[1]
        assert external_server.in_use() == [held]
        done.expect(" 2 passed in ")
        assert [name.split("_")[3] for name in re.findall(LEFT, done.stdout)] == ["forgotten"]
        done.expect_none_of("Traceback", "INTERNALERROR")
    finally:
        roll_back_prepared(external_server)


def roll_back_prepared(server: ExternalServer) -> None:
    """End all prepared transactions, each in its own database, as PostgreSQL wants it."""
    with server.connect() as connection:
        prepared = connection.execute("SELECT database, gid FROM pg_prepared_xacts").fetchall()
    for database, gid in prepared:
        with server.connect(database) as connection:
            connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))


@no_workers_by_default
def test_a_database_whose_comment_a_test_changed_is_dropped(
    project: Project, external_server: ExternalServer, workers: str
) -> None:
    done = project.run("pytest", write(project, CHANGES_COMMENTS), "-n", workers)
    done.expect("8 passed")
    counts = audit(done)
    assert counts["created"] == counts["dropped"]
    assert counts["kept"] == counts["left"] == 0
    assert external_server.in_use() == []


def test_a_database_whose_comment_a_test_changed_is_kept_with_a_marker(
    project: Project, external_server: ExternalServer
) -> None:
    path = write(project, CHANGES_COMMENTS)
    done = project.run("pytest", path, "--keep-failed-db", env={"FAILS": "yes"}, code=1)
    counts = audit(done)
    assert counts["kept"] == 8
    assert counts["left"] == 0
    rows = project.databases()
    assert {row["name"] for row in rows} == set(external_server.in_use())
    assert len(rows) == 8
    assert all(row["kept"] and row["kind"] and row["created"] for row in rows), rows
    project.run("invoke", "db.drop", rows[0]["run"])
    assert external_server.in_use() == []


def test_a_worker_that_crashes_after_it_changed_the_comment_leaves_nothing(
    project: Project, external_server: ExternalServer
) -> None:
    path = write(project, CHANGES_COMMENTS)
    crashing = ("pytest", path, "-n", "1", "--max-worker-restart", "3", "-k", "clone", *IN_ORDER)
    done = project.run(*crashing, env={"CRASHES": "yes"}, code=1)
    done.expect_times(4, r"^FAILED .*test_changes_the_comment")
    assert external_server.in_use() == []
    assert audit(done)["left"] == len(re.findall(LEFT, done.stdout)) > 0


@pytest.fixture
def lost(project: Project, external_server: ExternalServer) -> Outcome:
    """Run tests that drop or rename their own databases."""
    done = project.run("pytest", write(project, LOSES_DATABASES), *IN_ORDER, "-rA", code=1)
    with external_server.connect() as connection:
        connection.execute("DROP DATABASE renamed_by_a_test")
    return done


def test_a_test_that_drops_or_renames_its_own_database_fails_the_run(
    lost: Outcome, external_server: ExternalServer
) -> None:
    names = re.findall(r"^lost: (\w+)", lost.stdout, re.MULTILINE)
    assert len(names) == 3
    for name in names:
        lost.expect_times(1, f"testdb: {SOMEBODY_ELSE}: {name}$")
    lost.expect("4 passed")
    assert external_server.in_use() == []
