"""Tests that are written into a baked project, and what a run of them says of its databases."""

from typing import Final

from harness.outcome import Outcome
from harness.project import Project

IN_ORDER: Final = ("-p", "no:randomly")
"""Arguments of pytest: the tests run as they stand in their file."""
EVERY_WAY: Final = """
import pytest

WAYS = ["default", pytest.param("clone", marks=pytest.mark.isolation("clone"))]
every_way = pytest.mark.parametrize("way", WAYS)
twice = pytest.mark.parametrize("time", [1, 2])
"""
"""The beginning of tests that are isolated in every way, and of which each follows another one."""
ADDED_MIGRATION: Final = '''
"""Added by a test of the template."""

from alembic import op

revision = "9999"
down_revision = "0003"


def upgrade() -> None:
    for statement in {statements!r}:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError
'''
ALL_COUNTS: Final = r"testdb: (\d+) databases created, (\d+) dropped, (\d+) kept, (\d+) left"


def write(project: Project, source: str) -> str:
    """Put tests into the project; returns the path for pytest."""
    return project.write("tests/integration/test_written.py", source)


def migrate(project: Project, *statements: str) -> None:
    """Add a migration. Its tables need a schema of their own: the models do not have them."""
    text = ADDED_MIGRATION.format(statements=statements)
    project.write("src/my_service/migrations/main/9999_added.py", text)


def loop_scopes(scope: str) -> list[str]:
    """Spell how long an event loop lives, as arguments of pytest."""
    return [f"-oasyncio_default_{kind}_loop_scope={scope}" for kind in ("fixture", "test")]


def audit(done: Outcome) -> dict[str, int]:
    """Read the audit of a run."""
    counts = done.find(ALL_COUNTS).groups()
    return dict(zip(("created", "dropped", "kept", "left"), map(int, counts), strict=True))
