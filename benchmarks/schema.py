"""What is added to the models and migrations of a baked project, so that there is more to measure.

Models and migrations say the same, or the project would refuse to run its tests.
"""

from pathlib import Path
from typing import Final

_TABLES: Final = """

from sqlalchemy import Column, Integer, Table

for _number in range({first}, {end}):
    Table(
        f"other{{_number}}",
        MainBase.metadata,
        Column("id", Integer, primary_key=True),
        Column("note", String(100), nullable=False),
    )
"""
_CREATE_TABLES: Final = """for number in range({first}, {end}):
        op.create_table(
            f"other{{number}}",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("note", sa.String(100), nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_other{{number}}"),
        )"""
_DROP_TABLES: Final = """for number in range({first}, {end}):
        op.drop_table(f"other{{number}}")"""
_SEEDS: Final = """

Table(
    "reference",
    MainBase.metadata,
    Column("id", Integer, primary_key=True),
    Column("note", String(100), nullable=False),
)
"""
_CREATE_SEEDS: Final = """op.create_table(
        "reference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reference"),
    )
    op.execute("INSERT INTO reference (note) SELECT 'seed ' || n FROM generate_series(1, {rows}) n")
"""
_MIGRATION: Final = """
import sqlalchemy as sa
from alembic import op

revision = "{number:04}"
down_revision = "{before:04}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
"""


def add_tables(project: Path, first: int, end: int) -> None:
    """Have a project make tables that no test writes to, numbered from first to before end."""
    _add_models(project, _TABLES.format(first=first, end=end))
    upgrade, downgrade = (t.format(first=first, end=end) for t in (_CREATE_TABLES, _DROP_TABLES))
    _add_migration(project, upgrade, downgrade)


def add_seeds(project: Path, rows: int) -> None:
    """Have the migrations of a project fill a reference table. It must have other tables."""
    _add_models(project, _SEEDS)
    _add_migration(project, _CREATE_SEEDS.format(rows=rows), 'op.drop_table("reference")')


def add_comments(project: Path, migrations: int) -> None:
    """Have a project so many migrations in all; those that are added change a comment."""
    comment = "op.execute(\"COMMENT ON TABLE users IS '{}'\")"
    for number in range(_count(project), migrations):
        _add_migration(project, comment.format(number), comment.format(number - 1))


def _add_models(project: Path, text: str) -> None:
    with (project / "src/my_service/users.py").open("a") as models:
        models.write(text)


def _add_migration(project: Path, upgrade: str, downgrade: str) -> None:
    before = _count(project)
    number = before + 1
    text = _MIGRATION.format(number=number, before=before, upgrade=upgrade, downgrade=downgrade)
    (_migrations(project) / f"{number:04}_benchmark.py").write_text(text)


def _count(project: Path) -> int:
    return len(list(_migrations(project).glob("*.py")))


def _migrations(project: Path) -> Path:
    return project / "src/my_service/migrations/main"
