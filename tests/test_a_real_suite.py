"""A published package as judge: MLflow's migrations and models, under hundreds of tests.

Of the packages with a long Alembic history this one needs least: mlflow-skinny, which is pure
Python, holds 70 migrations and 60 tables, and both work with SQLAlchemy 2.1 and PostgreSQL.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import uv

from harness.environment import Environment, clean_variables
from harness.outcome import run
from harness.project import Bake, NewProject, Project
from harness.suite import audit, write

PACKAGES: Final = ("mlflow-skinny==3.17.2", "cryptography")
"""Its models of webhooks need cryptography, which only the whole of MLflow declares."""
VERSIONS: Final = "lib/*/site-packages/mlflow/store/db_migrations/versions/*_*.py"
MIGRATIONS: Final = "src/my_service/migrations"
MODELS: Final = """\
import mlflow.store.model_registry.dbmodels.models
import mlflow.store.tracking.dbmodels.models
import mlflow.store.workspace.dbmodels.models
from mlflow.store.db.base_sql_model import Base

from my_service.settings"""
INITIAL: Final = '''
"""The tables that MLflow had before its first migration."""

from alembic import op
from mlflow.store.tracking.dbmodels.initial_models import Base

revision = "initial"
down_revision = None


def upgrade():
    Base.metadata.create_all(op.get_bind())


def downgrade():
    raise NotImplementedError
'''
LAST: Final = '''
"""Nothing; but MLflow's migrations cannot all be undone, and this one says so."""

revision = "0004"
down_revision = "0003"


def upgrade():
    pass


def downgrade():
    raise NotImplementedError
'''
COMPARED: Final = """LOGICAL_DATABASES[logical],
        # MLflow's models and migrations differ in indexes, constraints, defaults and lengths.
        include_object=lambda _, name, kind, *others: kind in ("table", "column"),
        compare_type=False,
"""

SUITE: Final = '''
"""Write through MLflow's models, under the same keys in every test."""

from datetime import date
from random import Random

import pytest
from mlflow.store.db.base_sql_model import Base
from sqlalchemy import func, literal, select, union_all

from my_service.users import User

TABLES = Base.metadata.sorted_tables
MAPPERS = {{mapper.local_table: mapper for mapper in Base.registry.mappers}}
SEEDED = {{"workspaces": 1}}
COUNTS = union_all(*(select(literal(t.name), func.count()).select_from(t) for t in TABLES))
VALUES = {{int: 1, float: 0.5, bool: True, bytes: b"1", date: date(2026, 1, 1), object: {{}}}}
ADA = {{"email": "ada@example.com", "name": "Ada"}}
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in {modes}]
EVERY_MODE = pytest.mark.parametrize("mode", MODES)
MANY = pytest.mark.parametrize("number", range({each}))


def is_as_migrated(session):
    assert {{name: count for name, count in session.execute(COUNTS) if count}} == SEEDED
    return True


def value_of(column, written):
    """Give the value in the row that a column refers to, else the same one in every test."""
    for key in column.foreign_keys:
        if referred := written.get(key.column.table):
            return getattr(referred, key_of(key.column))
    if column.foreign_keys:
        return None
    if column.type.python_type is str:
        return column.name[: column.type.length]
    return None if column.nullable else VALUES[column.type.python_type]


def key_of(column):
    return MAPPERS[column.table].get_property_by_column(column).key


def write_some(session, tables):
    """Write a row into each of the first tables; what they refer to comes before them."""
    written = {{}}
    for table in TABLES[:tables]:
        row = MAPPERS[table].class_()
        for column in table.columns:
            has_default = column.default or column.server_default
            if column is not table.autoincrement_column and not has_default:
                setattr(row, key_of(column), value_of(column, written))
        session.add(row)
        session.flush()
        written[table] = row
    for table, row in written.items():
        if table.autoincrement_column is not None:
            assert getattr(row, key_of(table.autoincrement_column)) == 1
    return list(written.values())


@MANY
@EVERY_MODE
def test_without_a_loop(sync_session, mode, number):
    dice = Random(number)
    is_as_migrated(sync_session)
    rows = write_some(sync_session, dice.randint(1, len(TABLES)))
    if dice.random() < 0.2:
        sync_session.rollback()
        return
    sync_session.commit()
    if dice.random() < 0.5:
        for row in reversed(rows):
            sync_session.delete(row)
            sync_session.flush()
        sync_session.commit()


@MANY
@EVERY_MODE
async def test_beside_the_service(client, session, mode, number):
    await session.run_sync(is_as_migrated)
    await session.run_sync(write_some, len(TABLES))
    await session.commit()
    assert (await client.post("/users", json=ADA)).json()["id"] == 1
    assert await session.scalar(select(func.count()).select_from(User)) == 1
'''

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def mlflow(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Have an environment of baked projects that has MLflow too."""
    environment = Environment(tmp_path_factory.mktemp("mlflow") / "environment")
    environment.build(bake(databases="one"))
    install = (uv.find_uv_bin(), "pip", "install", "--python", environment.python, *PACKAGES)
    run(*install, cwd=environment.path, env=clean_variables())
    return environment


@pytest.fixture
def project(new_project: NewProject, mlflow: Environment) -> Project:
    """Have a project whose database `main` is MLflow's, and behind that its own."""
    shell = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    project = replace(new_project(databases="one"), environment=mlflow).with_shell(**shell)
    newest = copy_migrations(mlflow, project / MIGRATIONS / "main")
    project.replace(
        f"{MIGRATIONS}/main/0001_users.py", "down_revision = None", f'down_revision = "{newest}"'
    )
    project.write(f"{MIGRATIONS}/main/0004_last.py", LAST)
    models = "src/my_service/databases.py"
    project.replace(models, "from my_service.settings", MODELS)
    project.replace(
        models, '"main": MainBase.metadata', '"main": [MainBase.metadata, Base.metadata]'
    )
    env = f"{MIGRATIONS}/env.py"
    compared = "LOGICAL_DATABASES[logical],\n        compare_server_default=True,\n"
    project.replace(env, compared, COMPARED)
    project.replace(env, "import my_service.migrations.constraints", "#")
    # MLflow still uses what SQLAlchemy 2.1 calls deprecated.
    deprecated = '    "ignore::sqlalchemy.exc.SADeprecationWarning",\n'
    project.replace("pyproject.toml", '    "error",\n', f'    "error",\n{deprecated}')
    return project


def copy_migrations(environment: Environment, folder: Path) -> str:
    """Copy MLflow's migrations, and write the one that comes before them; returns the newest."""
    (folder / "0000_initial.py").write_text(INITIAL)
    revisions, followed = set(), set()
    for path in environment.path.glob(VERSIONS):
        text = path.read_text().replace("down_revision = None", 'down_revision = "initial"')
        (folder / path.name).write_text(text)
        revisions |= set(re.findall(r'^revision = "(\w+)"', text, re.MULTILINE))
        followed |= set(re.findall(r'^down_revision = "(\w+)"', text, re.MULTILINE))
    (newest,) = revisions - followed
    return newest


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("modes", [("reset",), ("reset", "clone")], ids="-".join)
def test_hundreds_of_tests_never_meet(
    project: Project, modes: tuple[str, ...], workers: int
) -> None:
    each = 150 // len(modes)
    path = write(project, SUITE.format(each=each, modes=modes))
    for seed in range(2):
        arguments = ("-n", str(workers), f"--randomly-seed={seed}", "-p", "no:cacheprovider")
        done = project.run("pytest", path, *arguments)
        done.expect(f"{2 * each * len(modes)} passed")
        counts = audit(done)
        assert counts["created"] == counts["dropped"]
        assert counts["left"] == counts["kept"] == 0
        if "clone" not in modes:  # one for each worker, one to check the migrations: no other
            assert counts["created"] == max(workers, 1) + 1
