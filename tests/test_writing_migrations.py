"""What `invoke db.revision` and Alembic's own command line write needs no mending."""

from pathlib import Path
from typing import Final

import psycopg
import pytest

from harness.external import ExternalServer
from harness.project import Project

HEALTH: Final = "tests/integration/test_health.py::test_every_logical_database_answers"
MIGRATIONS: Final = "src/my_service/migrations/main"
ALEMBIC: Final = ("python", "-m", "my_service.migrations")
ORDERS: Final = '''"""Orders."""

import enum
from typing import Any

from fastapi import APIRouter
from sqlalchemy import CheckConstraint, Enum, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from my_service.databases import MainBase

router = APIRouter()


class Status(enum.Enum):
    """How far an order is."""

    OPEN = "open"
    PAID = "paid"


class Order(MainBase):
    """An order."""

    __tablename__ = "orders"
    __table_args__ = (CheckConstraint("id > 1 OR status <> 'PAID'", name="paid"),)

    id: Mapped[int] = mapped_column(CheckConstraint("id > 0", name="id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    status: Mapped[Status] = mapped_column(Enum(Status, name="order_status"))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
'''
CONSTRAINED: Final = """
    __table_args__ = (
        CheckConstraint("name NOT LIKE '%\\\\:x%'", name="no_colon"),
        ExcludeConstraint(("name", "="), using="hash"),
        ExcludeConstraint(("email", "="), using="hash", name="once", where=text("id > 1")),
        Index("ix_ada", "email", postgresql_where=text("name = 'Ada'")),
    )
"""
REFUSED_OTHERWISE: Final = """
import pytest
from sqlalchemy.exc import IntegrityError


async def test_not_every_refusal_is_a_taken_email(client):
    with pytest.raises(IntegrityError, match="no_colon"):
        await client.post("/users", json={"email": "ada@example.com", "name": "a:x"})
"""
WAITS: Final = '''"""Waits for the test."""

from alembic import op

revision = "9999"
down_revision = "0003"


def upgrade() -> None:
    op.execute("SELECT pg_advisory_xact_lock(1)")


def downgrade() -> None: ...
'''


def written(project: Project) -> list[Path]:
    """List the migrations that are not the demo's."""
    return sorted((project / MIGRATIONS).glob("[!0_]*.py"))


def test_a_feature_with_an_enum_goes_from_model_to_migration(project: Project) -> None:
    project.write("src/my_service/orders.py", ORDERS)
    unknown = project.run("invoke", "db.revision", "add orders", code=1)
    unknown.expect("there is nothing to write", "nothing has imported", "my_service.orders")
    unknown.expect_none_of("--logical")
    assert written(project) == []

    project.replace(
        "src/my_service/app.py", "    users,\n)\nfrom", "    orders,\n    users,\n)\nfrom"
    )
    project.run("invoke", "db.revision", "add orders")
    project.run("ruff", "check", "src/my_service/migrations")
    project.run("ruff", "format", "--check", "src/my_service/migrations")
    project.write(f"{MIGRATIONS}/__init__.py", "")  # Alembic passes over it
    project.run("pytest", HEALTH)  # it was undone and made again: the type goes with its table
    enum = 'sa.Enum("OPEN", "PAID", name="order_status").drop('
    assert enum in written(project)[0].read_text()

    project.replace("src/my_service/orders.py", 'PAID = "paid"', 'PAID = "paid"\n    LATE = "late"')
    project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR).expect("new_value='LATE'")
    project.run("invoke", "db.revision", "orders can be late")
    failed = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    failed.expect("constraint ck_orders_paid", "Drop it before `op.sync_enum_values`")


def test_checks_exclusions_and_predicates_go_from_model_to_migration(project: Project) -> None:
    users = "src/my_service/users.py"
    original = (project / users).read_text()
    imports = "from sqlalchemy import CheckConstraint, Index, text\n"
    imports += "from sqlalchemy.dialects.postgresql import ExcludeConstraint\n"
    project.replace(users, "from sqlalchemy import", f"{imports}from sqlalchemy import")
    project.replace(
        users, '    __tablename__ = "users"\n', f'    __tablename__ = "users"\n{CONSTRAINED}'
    )
    project.replace(
        users, "String(254)", "String(254), CheckConstraint(\"email <> ''\", name='given')"
    )
    project.run("invoke", "db.revision", "constrain")
    for old, new in {"<> ''": "<> ' '", "id > 1": "id > 2", "= 'Ada'": "= 'Eva'"}.items():
        project.replace(users, old, new)
    told = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    told.expect(
        "DROP CONSTRAINT ck_users_given",
        "ADD CONSTRAINT ck_users_given CHECK (((email)::text <> ' '::text))",
        "DROP CONSTRAINT once",
        "ADD CONSTRAINT once EXCLUDE USING hash (email WITH =) WHERE ((id > 2))",
        "DROP INDEX ix_ada",
        "CREATE INDEX ix_ada ON users USING btree (email) WHERE ((name)::text = 'Eva'::text)",
    ).expect_none_of("no_colon", "users_name_excl")
    project.run("invoke", "db.revision", "constrain differently")
    own = project.write("tests/integration/test_own.py", REFUSED_OTHERWISE)
    project.run("pytest", HEALTH, own)  # nothing is left to tell; both were undone and made again

    project.replace(users, '("name", "="), using="hash"', '("name", "="), using="gist"')
    unknown = project.run("invoke", "db.revision", "an extension is missing", code=1)
    unknown.expect("no default operator class", "The extension btree_gist has it.")
    project.write(users, original)
    project.run("invoke", "db.revision", "constrain no more")
    project.run("pytest", HEALTH)
    project.run("ruff", "check", "src/my_service/migrations")
    text = "".join(path.read_text() for path in written(project))
    assert text.count("EXCLUDE USING hash (name WITH =)") == 2  # made, and made again


def test_an_empty_migration_is_lint_clean_and_a_failed_one_leaves_no_file(project: Project) -> None:
    for message in ("", " %"):
        refused = project.run("invoke", "db.revision", message, "--empty", code=1)
        assert refused.output.splitlines() == [
            'A migration is named by what it does: `invoke db.revision "add a nickname"`.'
        ]
    form = "src/my_service/migrations/script.py.mako"
    original = (project / form).read_text()
    project.replace(form, "def upgrade()", "def upgrade(")
    project.run("invoke", "db.revision", "fails", "--empty", code=1).expect("Nothing was written.")
    assert written(project) == []
    project.write(form, original)
    for message in ('it\'s """quoted"""', 'C:\\new\\users\nand "'):
        project.run("invoke", "db.revision", message, "--empty")
    assert {path.read_text().splitlines()[0] for path in written(project)} == {
        "\"\"\"It's '''quoted'''.\"\"\"",
        '"""C:/new/users and \'."""',
    }
    project.run("invoke", "db.revision", "fill nicknames", "--empty")
    assert any("Fill nicknames." in path.read_text() for path in written(project))
    project.run("ruff", "check")
    project.run("ruff", "format", "--check")


def test_two_branches_never_collide_and_alembic_merges_them(project: Project) -> None:
    project.run("invoke", "db.revision", "mine", "--empty")
    (mine,) = written(project)
    mine.rename(project / "mine")
    project.run("invoke", "db.revision", "theirs", "--empty")
    (project / "mine").rename(mine)
    heads = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR).expect("have 2 heads")
    merge = heads.find(r'^python -m my_service.migrations (main merge heads) --message "merge"$')
    project.run(*ALEMBIC, *merge[1].split(), "--message", "merge")
    project.run("ruff", "check", "src/my_service/migrations")
    project.run("pytest", HEALTH)
    project.run(*ALEMBIC, "main", "heads").find(r"^\w+ \(head\)$")
    project.run(*ALEMBIC, "main", "history").expect("(mergepoint), Merge.")
    project.run(*ALEMBIC, "main", "upgrade", "head", "--sql").expect("CREATE TABLE users")


def test_deployments_migrate_one_after_the_other(
    project: Project, external_server: ExternalServer
) -> None:
    """Three begin at once; the first waits in the middle until the others know of it."""
    waits = project.write(f"{MIGRATIONS}/9999_waits.py", WAITS)
    with external_server.database("deployed"):
        variables = {"MY_SERVICE_DATABASE_URLS__MAIN": f"{external_server.url}/deployed"}
        with external_server.connect("deployed") as gate:
            gate.execute("SELECT pg_advisory_lock(1)")
            running = [project.start(*ALEMBIC, env=variables) for _ in range(3)]
            project.wait_for(running[0], lambda: asked(gate) == 3, "to begin")
        waiting = "Another program migrates main; waiting for it.\n"
        said = [project.finish(program).output for program in running]
        assert sorted(text.count(waiting) for text in said) == [0, 1, 1]
        project.run(*ALEMBIC, "main", "current", env=variables).expect("9999 (head)")
        project.run(*ALEMBIC, "main", "downgrade", "0001", env=variables)
        project.run(*ALEMBIC, "main", "current", env=variables).expect("0001")
        again = project.run(*ALEMBIC, env=variables)
        again.expect("Running upgrade 0001 -> 0002", "Running upgrade 0003 -> 9999")
        project.replace(waits, "SELECT pg_advisory_xact_lock(1)", "SELECT nothing")
        project.run(*ALEMBIC, "main", "downgrade", "0003", env=variables)
        failed = project.run(*ALEMBIC, env=variables, code=1)
        failed.expect(f"{waits}:", 'column "nothing" does not exist').expect_none_of("Traceback")
        assert len(failed.output.splitlines()) < 6


def asked(connection: psycopg.Connection) -> int:
    """Count the programs that have asked who migrates the database, and have their answer."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query ~ 'pg_try_advisory_lock' AND state = 'idle'"
    ).fetchone()
    assert row
    return int(row[0])


@pytest.mark.long
def test_a_user_that_needs_more_is_described_at_one_place_for_the_tests_of_testdb(
    project: Project,
) -> None:
    users = "src/my_service/users.py"
    column = (
        "    nickname: Mapped[str | None]\n    phone: Mapped[str] = mapped_column(String(20))\n"
    )
    project.replace(users, "    created_at: Mapped", f"{column}    created_at: Mapped")
    project.replace(users, "    name: UserName\n", "    name: UserName\n    phone: str\n")
    project.replace(users, "name=new.name)", "name=new.name, phone=new.phone)")
    done = project.run("invoke", "db.revision", "add a nickname")
    done.expect(
        "phone is NOT NULL, and rows of users may be there",
        "a server_default in the model, delete this migration and write it again",
    ).expect_none_of("nickname is")
    described = '"name": name}'
    project.replace("tests/testdb/conftest.py", described, '"name": name, "phone": "1"}')
    project.run("pytest", "tests/testdb")
