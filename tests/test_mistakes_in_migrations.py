"""A mistake in a migration or a model is one message, before any test: where, what, what to do."""

from dataclasses import dataclass
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.project import NewProject, Project

HEALTH: Final = "tests/integration/test_health.py::test_every_logical_database_answers"
MIGRATIONS: Final = "src/my_service/migrations/main"
OWN: Final = f"{MIGRATIONS}/9999_own.py"
USERS: Final = "src/my_service/users.py"
MIGRATION: Final = '''"""Own."""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
    {upgrade}
'''
DOWNGRADE: Final = """

def downgrade() -> None:
    {downgrade}
"""
UNDONE: Final = (
    "`raise NotImplementedError` in it says that it cannot be undone. To try no downgrade at all, "
    'take "downgrades" out of MIGRATION_CHECKS in testdb/adapter.py.'
)


def migration(
    upgrade: str = "pass", downgrade: str = "pass", *, revision: str = "9999", before: str = "0003"
) -> str:
    """Spell a migration."""
    head = MIGRATION.format(revision=revision, before=before, upgrade=upgrade)
    return head + DOWNGRADE.format(downgrade=downgrade)


@dataclass(frozen=True)
class Mistake:
    """A migration, and what a person must be told about it."""

    text: str
    told: tuple[str, ...]


MISTAKES: Final = {
    "no Python": Mistake("def upgrade(:\n", (f"fails in {OWN}:1", "SyntaxError: invalid syntax")),
    "a name that is not there": Mistake(
        migration("op.drop_tabel('users')"),
        (f"Migrating the logical database main fails in {OWN}:11, upgrade", "AttributeError: "),
    ),
    "SQL that fails": Mistake(
        migration("op.execute('ALTER TABLE nothing ADD x int')"),
        (f"fails in {OWN}:11, upgrade", 'UndefinedTable: relation "nothing" does not exist'),
    ),
    "a warning that is an error": Mistake(
        migration("__import__('warnings').warn('old', DeprecationWarning)"),
        (f"fails in {OWN}:11, upgrade", "DeprecationWarning: old"),
    ),
    "an extension that the server lacks": Mistake(
        migration("op.execute('CREATE EXTENSION timescaledb')"),
        ('extension "timescaledb" is not available', "TESTDB_SERVER_URL names another one"),
    ),
    "two with one revision": Mistake(
        migration(revision="0002", before="0001"),
        (f"{MIGRATIONS}/0002_auth.py and {OWN} have the same revision, '0002'",),
    ),
    "it follows nothing that is there": Mistake(
        migration(before="0042"), (f"{OWN} comes after the revision '0042', which no file has.",)
    ),
    "it follows itself": Mistake(
        migration(before="9999"), ("Self-loop is detected in revisions (9999)",)
    ),
    "two heads": Mistake(
        migration(before="0001"),
        ("have 2 heads", OWN, "python -m my_service.migrations main merge heads"),
    ),
    "no downgrade": Mistake(
        MIGRATION.format(revision="9999", before="0003", upgrade="pass"),
        (f"{OWN} lacks downgrade. Add it",),
    ),
    "no revision": Mistake(
        migration().replace("revision = '9999'", "", 1), (f"{OWN} lacks revision. Add it",)
    ),
    "a downgrade that fails": Mistake(
        migration(downgrade="op.drop_table('nothing')"),
        (
            f"Undoing the migrations of the logical database main fails in {OWN}:15, downgrade",
            UNDONE,
        ),
    ),
    "a downgrade that leaves something": Mistake(
        migration("op.execute('CREATE SEQUENCE left_behind')"),
        (
            f"After all was undone, migrating the logical database main fails in {OWN}:11, upgrade",
            'DuplicateTable: relation "left_behind" already exists',
            UNDONE,
        ),
    ),
}
BY_DEFAULT: Final = {
    "no Python",
    "a name that is not there",
    "two with one revision",
    "a downgrade that fails",
    "a downgrade that leaves something",
}


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(mistake, id=name, marks=[] if name in BY_DEFAULT else pytest.mark.long)
        for name, mistake in MISTAKES.items()
    ],
)
def test_a_wrong_migration_is_one_message(project: Project, mistake: Mistake) -> None:
    project.write(OWN, mistake.text)
    done = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    done.expect(*mistake.told).expect_none_of("INTERNALERROR", "Traceback", "passed")
    assert len(done.output.splitlines()) < 10


def test_what_models_lack_is_shown_as_the_migration_that_would_be_written(project: Project) -> None:
    project.replace(USERS, "String(100)", "String(99), server_default='x'")
    done = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    done.expect("op.alter_column('users', 'name'", "String(length=99)", "server_default='x'")
    done.expect('`invoke db.revision "what it does"`').expect_none_of("INTERNALERROR", "passed")
    put_off = project.run("pytest", HEALTH, "--no-migration-check")
    put_off.expect("migrations are not checked", "1 passed")
    project.run("pytest", HEALTH, "--no-migration-check", env={"CI": "true"}, code=4)


def test_a_model_that_fails_is_told_as_such_and_once(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    project = new_project(databases="two").with_shell(**external_server.variables)
    project.run("invoke", "db.create")
    agree = project.run("invoke", "db.revision", "nothing", code=1)
    agree.expect("there is nothing to write", "`--logical timeseries` is for timeseries.")
    candles = "src/my_service/candles.py"
    project.write(candles, (project / candles).read_text() + "\n\nWRONG = nosuch\n")
    done = project.run("invoke", "db.migrate", code=1)
    done.expect_times(1, f" fails in {candles}:").expect_times(1, "NameError")
    done.expect("It is not a migration").expect_none_of("Correct the migration", "SAWarning")


def test_a_migration_may_name_tables_of_its_own(project: Project) -> None:
    names = "users = sa.table('users', sa.column('name'))\n\n\ndef upgrade"
    renames = "op.execute(users.update().values(name=sa.func.upper(users.c.name)))"
    project.write(OWN, migration(renames).replace("def upgrade", names))
    project.run("pytest", HEALTH)


def test_an_autocommit_block_can_be_undone(project: Project) -> None:
    def block(statement: str) -> str:
        return f"with op.get_context().autocommit_block():\n        op.execute({statement!r})"

    project.replace(
        "src/my_service/migrations/env.py",
        "        compare_server_default=True,",
        "        compare_server_default=True,\n        transaction_per_migration=True,",
    )
    create = block("CREATE INDEX CONCURRENTLY ix_users_name ON users (name)")
    project.write(OWN, migration(create, block("DROP INDEX CONCURRENTLY ix_users_name")))
    project.replace(USERS, "String(100))", "String(100), index=True)")
    project.run("pytest", HEALTH)
