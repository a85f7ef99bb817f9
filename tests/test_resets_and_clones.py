"""How databases are made as new: reset where that restores all, else cloned anew, and counted."""

from typing import Final

import pytest

from harness.outcome import Outcome
from harness.project import Project
from harness.suite import EVERY_WAY, audit, migrate, write

POOL: Final = 3
"""How many clones one worker may have at once."""
REFUSED: Final = """
import pytest


@pytest.mark.isolation("rollback")
async def test_asks_for_what_is_gone(client): ...
"""

CHANGES_ROWS: Final = """
from sqlalchemy import text

ADA = {"email": "ada@example.com", "name": "Ada"}
pytestmark = pytest.mark.isolation("clone")
many = pytest.mark.parametrize("number", range(10))


@many
async def test_through_the_service(client, number):
    assert (await client.get("/users")).json() == []
    assert (await client.post("/users", json=ADA)).json()["id"] == 1


@many
def test_without_a_loop(sync_session, number):
    assert sync_session.scalar(text("SELECT count(*) FROM users")) == 0
    assert sync_session.scalar(text("SELECT nextval('users_id_seq')")) == 1
    sync_session.execute(text("INSERT INTO users (email, name) VALUES ('ada@example.com', 'A')"))
    sync_session.commit()
"""

CHANGES_THE_SCHEMA: Final = """
from sqlalchemy import text

NICKNAMES = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'nickname'"


@every_way
@pytest.mark.parametrize("number", range(4))
def test_adds_a_column(sync_session, way, number):
    assert sync_session.scalar(text(NICKNAMES)) == 0
    assert sync_session.scalar(text("SHOW synchronous_commit")) == "local"
    sync_session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
    sync_session.commit()
"""

TRUNCATES: Final = """
from sqlalchemy import text

CODES = text("SELECT string_agg(id || code, ' ' ORDER BY id) FROM extra.countries")
TRUNCATE = [
    "TRUNCATE users CASCADE",
    "TRUNCATE users RESTART IDENTITY CASCADE",
    "TRUNCATE extra.countries",
    "TRUNCATE extra.countries RESTART IDENTITY",
    "TRUNCATE users, extra.countries CASCADE",
]


@twice
@every_way
@pytest.mark.parametrize("truncate", TRUNCATE)
def test_truncates(sync_session, truncate, way, time):
    assert sync_session.scalar(text("SHOW synchronous_commit")) == "off"
    assert sync_session.scalar(text("SELECT count(*) FROM users")) == 0
    assert sync_session.scalar(CODES) == "1at 2be 3ch"
    for email in "ab":
        add = "INSERT INTO users (email, name) VALUES (:email, 'Ada') RETURNING id"
        sync_session.execute(text(add), {"email": email})
    next_one = text("INSERT INTO extra.countries (code) VALUES ('de') RETURNING id")
    assert sync_session.scalar(next_one) == 4
    sync_session.execute(text(truncate))
    sync_session.commit()


@every_way
async def test_the_service_waits_for_no_disk(session, way):
    assert await session.scalar(text("SHOW synchronous_commit")) == "off"
"""
COUNTRIES: Final = (
    "CREATE SCHEMA extra",
    "CREATE TABLE extra.countries (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text)",
    "INSERT INTO extra.countries (code) VALUES ('at'), ('be'), ('ch')",
)
COMMITS_LOCALLY: Final = """
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = local', current_database());
END $$
"""

RESETS: Final = """
from testdb.identity.disposable import Kind
from testdb.postgres.reset import FLUSH, Resetter
from testdb.runs.run import start

with start() as run:
    name = str(run.create("main", Kind.CLONE).names["main"])
    user, own = run.server.connect(database=name), run.server.connect(database=name)
    resetter = Resetter(own)
    user.execute("INSERT INTO extra.countries (code) VALUES ('de')")
    user.execute(FLUSH)
    user.close()
    for _ in range(2):
        resetter.look()
        resetter.begin()
        print(resetter._sent > 0)
        resetter.finish()
        assert resetter.obstacle is None
    own.close()
"""


def audit_in_order(done: Outcome) -> int:
    """Check that whatever was created was dropped; returns how many databases that were."""
    counts = audit(done)
    assert counts["dropped"] == counts["created"]
    assert counts["left"] == counts["kept"] == 0
    return counts["created"]


def test_what_is_no_way_of_isolation_is_refused_by_one_clear_line(project: Project) -> None:
    done = project.run("pytest", write(project, REFUSED), code=None)
    assert done.code != 0
    done.find(r"^(?=.*isolation)(?=.*\breset\b)(?=.*\bclone\b).*rollback")
    done.expect_none_of(" passed", "INTERNALERROR", "Traceback", "testdb/testing/")


def test_a_clone_whose_schema_is_as_it_was_is_used_again(project: Project) -> None:
    done = project.run("pytest", write(project, EVERY_WAY + CHANGES_ROWS))
    done.expect("20 passed")
    assert audit_in_order(done) <= 2 + POOL
    done.expect_none_of("cloned anew")


def test_what_ddl_changed_is_cloned_anew_and_counted(project: Project) -> None:
    """Of two workers; and what migrations set of the database comes back each time."""
    migrate(project, COMMITS_LOCALLY)
    done = project.run("pytest", write(project, EVERY_WAY + CHANGES_THE_SCHEMA), "-n", "2")
    done.expect("8 passed")
    assert audit_in_order(done) >= 3 + 8
    anew = done.find(r"^testdb: (\d+) databases? cloned anew.*schema")
    assert int(anew[1]) >= 4


def test_truncate_costs_no_clone_and_commits_wait_for_no_disk(project: Project) -> None:
    """On an external server, whose own commits do wait."""
    migrate(project, *COUNTRIES)
    done = project.run("pytest", write(project, EVERY_WAY + TRUNCATES))
    done.expect("22 passed")
    done.find(r"^testdb: .*synchronous_commit.* off")
    assert audit_in_order(done) <= 2 + POOL
    done.expect_none_of("cloned anew")


def test_what_a_reset_itself_writes_is_not_put_back(project: Project) -> None:
    migrate(project, *COUNTRIES)
    assert project.run("python", "-c", RESETS).stdout == "True\nFalse\n"


@pytest.mark.long
def test_resets_and_clones_of_four_workers_are_few(project: Project) -> None:
    path = write(project, EVERY_WAY + CHANGES_ROWS.replace("range(10)", "range(200)"))
    done = project.run("pytest", path, "-n", "4")
    done.expect("400 passed")
    assert audit_in_order(done) <= 1 + 4 * (1 + POOL)
