"""Scenario D: SQLite in place of the real server, and databases migrated for each test."""

from pathlib import Path

from conftest import Bake
from harness.environment import Environment

TELLS = """
def upgrade() -> None:
    with open({log!r}, "a") as log:
        log.write("migrated\\n")
"""


def test_d_migrations_run_once_for_all_tests_workers_and_runs(
    bake: Bake, environment: Environment, tmp_path: Path
) -> None:
    project, log = bake(), tmp_path / "log"
    migrations = project / "src" / "my_service" / "migrations" / "main"
    last = max(migrations.glob("*.py"))
    (migrations / "9999_tells.py").write_text(
        f'"""Tells."""\n\nrevision = "9999"\ndown_revision = "{last.name[:4]}"\n'
        + TELLS.format(log=str(log))
        + "\n\ndef downgrade() -> None:\n    raise NotImplementedError\n"
    )
    for workers in ("2", "0", "2"):
        environment.run(project, "pytest", "tests/integration/test_users.py", "-n", workers)
    assert log.read_text().splitlines() == ["migrated"]
    environment.run(project, "pytest", "tests/integration/test_users.py", "--cold-template")
    assert log.read_text().splitlines() == ["migrated"] * 2


def test_d_tests_run_on_the_engine_that_production_runs(
    bake: Bake, environment: Environment
) -> None:
    done = environment.run(bake(), "pytest", "tests/integration/test_users.py")
    assert "testdb: PostgreSQL 18" in done.stdout
