"""What starts waits for no import that it does not need; what is assumed instead is checked."""

from typing import Final

import pytest

from harness.external import ExternalServer
from harness.project import NewProject, Project

HEALTH: Final = "tests/integration/test_health.py::test_every_logical_database_answers"
HEAVY: Final = ("alembic", "fastapi", "httpx", "my_service", "pydantic", "rich", "sqlalchemy")
"""What takes long to import; and the service, for coverage may begin after testdb was imported."""
GUARDED: Final = f"""
import sys
from psycopg import generators

def test_nothing_heavy_is_imported_and_the_guard_is_in_force():
    assert not {{*{HEAVY}}} & sys.modules.keys()
    assert generators.connect.__module__ == "testdb.postgres.guard"
"""
EMBEDDED: Final = {"TESTDB_SERVER_URL": ""}
"""SQLAlchemy reads the URL of an external server, to hide its password at once."""
CALL: Final = "test_nothing_heavy_is_imported_and_the_guard_is_in_force()\n"
MIGRATIONS: Final = "src/my_service/migrations"
ROW: Final = '    "main": MainBase.metadata,\n'
NO_FOLDER: Final = ("has no folder of migrations: mkdir ", f"{MIGRATIONS}/archive")
PREFIX: Final = ("ENV_PREFIX is ",)


OLD: Final = "import sys; sys.version_info = (3, 10); "
"""Has a Python take itself for an older one."""


@pytest.mark.parametrize(
    ("preface", "expected"),
    [("", "lacks alembic, xdist, my_service. Run `nox -s dev`"), (OLD, "needs 3.11 or newer.")],
)
def test_a_python_that_is_of_no_use_says_so_in_one_line(
    project: Project, preface: str, expected: str
) -> None:
    """It is run without its packages, and without the service."""
    path = {"PYTHONPATH": str(project.path)}
    done = project.run("python", "-S", "-c", f"{preface}import testdb", env=path, code=1)
    done.expect(f"({project.environment.path}/bin/python)", expected)
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("entrance", ["testdb.testing.plugin", "tasks", "testdb.adapter"])
def test_an_entrance_imports_nothing_heavy(project: Project, entrance: str) -> None:
    project.run("python", "-c", f"import {entrance}\n{GUARDED}\n{CALL}", env=EMBEDDED)


def test_a_unit_test_waits_for_nothing_heavy(project: Project) -> None:
    path = project.write("tests/unit/test_written.py", GUARDED)
    project.run("pytest", path, env=EMBEDDED).expect("1 passed")


def test_a_folder_without_a_row_is_told(project: Project) -> None:
    (project / MIGRATIONS / "archive").mkdir()
    done = project.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    done.expect("has a folder for archive, and LOGICAL_DATABASES has no row. Add the row")
    done.expect_none_of("Traceback", "passed")


@pytest.fixture(scope="module")
def agreeing(new_project: NewProject, external_server: ExternalServer) -> Project:
    """Have a project in which all agreed when its tests ran."""
    project = new_project().with_shell(**external_server.variables)
    project.run("pytest", HEALTH)
    return project


@pytest.mark.parametrize(
    ("changed", "old", "new", "told"),
    [
        ("src/my_service/databases.py", ROW, f'{ROW}    "archive": MetaData(),\n', NO_FOLDER),
        ("src/my_service/settings.py", '"MY_SERVICE_"', '"OTHER_"', PREFIX),
        ("testdb/adapter.py", '"MY_SERVICE_"', '"OTHER_"', PREFIX),
    ],
    ids=["a row without a folder", "another prefix", "another prefix in the adapter"],
)
def test_what_does_not_agree_any_more_is_told(
    agreeing: Project, changed: str, old: str, new: str, told: tuple[str, ...]
) -> None:
    agreeing.replace(changed, old, new)
    done = agreeing.run("pytest", HEALTH, code=pytest.ExitCode.USAGE_ERROR)
    agreeing.replace(changed, new, old)
    done.expect(*told).expect_none_of("Traceback", "passed")


def test_a_logical_database_is_a_row_and_a_folder(new_project: NewProject) -> None:
    project = new_project(databases="one")
    (project / MIGRATIONS / "archive").mkdir()
    project.replace("src/my_service/databases.py", ROW, f'{ROW}    "archive": MetaData(),\n')
    done = project.run("pytest", HEALTH)
    done.expect("databases 1 x main + archive", "1 passed", " 0 left")


def test_a_folder_that_git_left_behind_is_no_logical_database(project: Project) -> None:
    (project / MIGRATIONS / "gone" / "__pycache__").mkdir(parents=True)
    project.run("pytest", HEALTH).expect("databases 1 x main,", "1 passed")
