"""Migrations run once, before every test; if they are wrong, the run says so and tests nothing."""

import re
from pathlib import Path
from typing import Final

import pytest

from harness.parameters import LOGICAL, one_by_default, two_workers_by_default
from harness.project import NewProject, Project

MIGRATED: Final = re.compile(r"template (\w+) migrated in")
CACHED: Final = re.compile(r"template (\w+) cached, no migration ran")
USERS: Final = "tests/integration/test_users.py"
HEALTH: Final = "tests/integration/test_health.py::test_every_logical_database_answers"
HEAD_OF_MAIN: Final = {"one": "0003", "two": "0002"}
USAGE_ERROR: Final = pytest.ExitCode.USAGE_ERROR

TELLS: Final = '''
"""Tells that it runs."""

revision = "9999"
down_revision = {before!r}


def upgrade() -> None:
    with open({log!r}, "a") as log:
        log.write("migrated\\n")


def downgrade() -> None:
    raise NotImplementedError
'''

SECOND_HEAD = '''
"""Second."""

revision = "9999"
down_revision = "0001"


def upgrade() -> None: ...


def downgrade() -> None: ...
'''


@one_by_default
def test_unchanged_migrations_never_run_again(
    new_project: NewProject, databases: str, tmp_path: Path
) -> None:
    """Scenario D: migrations run once, for all tests, workers and runs."""
    project, everything = new_project(databases=databases), sorted(LOGICAL[databases])
    before, log = HEAD_OF_MAIN[databases], tmp_path / "log"
    migration = "src/my_service/migrations/main/9999_tells.py"
    project.write(migration, TELLS.format(before=before, log=str(log)))

    def templates(*arguments: str) -> tuple[list[str], list[str]]:
        """Run a test; get which templates were migrated, and which were cached."""
        done = project.run("pytest", HEALTH, *arguments).stdout
        return sorted(MIGRATED.findall(done)), sorted(CACHED.findall(done))

    assert templates("-n", "2") == (everything, [])
    assert templates() == ([], everything)
    assert log.read_text().split() == ["migrated"], "not once for two workers and two runs"
    project.write(migration, (project / migration).read_text() + "\nA_REASON = True\n")
    assert templates() == (["main"], [name for name in everything if name != "main"])
    assert templates("--cold-template") == (everything, [])
    assert log.read_text().split() == ["migrated"] * 3


def test_in_ci_no_test_is_skipped_and_none_starts_before_the_migrations(project: Project) -> None:
    """Scenario C."""
    command = ("pytest", USERS, "--cold-template")
    done = project.run(*command, env={"CI": "true", "GITHUB_ACTIONS": "true"})  # in random order
    done.find(r"= 5 passed in ")


@two_workers_by_default
def test_models_that_disagree_with_migrations_are_told_once_before_the_first_test(
    project: Project, workers: str
) -> None:
    """Scenario C."""
    project.run("pytest", HEALTH)  # while they agree
    column = "    name: Mapped[str] ="
    project.replace("src/my_service/users.py", column, f"    age: Mapped[int]\n{column}")
    done = project.run("pytest", USERS, "-n", workers, code=USAGE_ERROR)
    done.expect_times(1, "Models and migrations of the logical database main disagree")
    done.expect("age").expect_none_of("passed", "failed")


@two_workers_by_default
def test_two_heads_are_told_once_before_the_first_test(project: Project, workers: str) -> None:
    """Scenario C."""
    project.write("src/my_service/migrations/main/9999_second.py", SECOND_HEAD)
    done = project.run("pytest", "tests/integration", "-n", workers, code=USAGE_ERROR)
    done.expect_times(1, "have 2 heads").expect("9999").expect_none_of("passed", "failed")
