"""What the template makes: complete, clean as generated, and legal under every license and name."""

import ast
import itertools
import json
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import uv

from harness.baking import TEMPLATE
from harness.environment import clean_variables
from harness.external import ExternalServer
from harness.outcome import run
from harness.parameters import one_and_two
from harness.project import Bake, NewProject, Project

LICENSES = {
    "MIT": "MIT License",
    "Apache-2.0": "Apache License",
    "BSD-3-Clause": "BSD 3-Clause License",
    "Proprietary": "All rights reserved",
}
UNRENDERED = ("<<", "<%", "<#", "cookiecutter.")
TRICKY = {
    "project_name": "Überraschung №1",
    "description": """"Yes" to C:\\new, 'no' to </a> & it keeps {{ this }}, {% that %}, ${both}.""",
    "author_name": 'Zoë "Z" O\'Neil \\ Söhne',
    "author_email": "o'neil+test@example.com",
}
ANSWERS = {
    "one": {"databases": "one"},
    "two": {"databases": "two"},
    "sorts before testdb": {"project_name": "Aardvark", "databases": "two"},
    "sorts after testdb": {"project_name": "Zebra"},
    "40 characters": {"project_name": "a" * 40, "databases": "two"},
    "one character": {"project_name": "x"},
    "tricky answers": TRICKY,
    "tricky answers, proprietary": {**TRICKY, "license": "Proprietary", "databases": "two"},
}
EVERY_OTHER_ANSWER = {
    **TRICKY,
    "project_slug": "another",
    "package_name": "another_one",
    "license": "Proprietary",
    "databases": "two",
    "ci": "gitlab",
}
"""No prompt has its default."""
ONE_WAY = "Imports go one way through the rooms, and the service knows nothing of them"
BREACHES = {
    "postgres knows the adapter": (
        "testdb/postgres/catalog.py",
        "from testdb.adapter import LOGICAL  # noqa",
        ONE_WAY,
    ),
    "runs speak PostgreSQL": (
        "testdb/runs/sweep.py",
        "import psycopg",
        "Only the room postgres speaks PostgreSQL",
    ),
    "postgres knows runs": (
        "testdb/postgres/databases.py",
        "from testdb.runs import kept",
        ONE_WAY,
    ),
    "the adapter knows names": (
        "testdb/adapter.py",
        "from testdb.identity import names",
        "The adapter imports the service alone",
    ),
    "testing goes past the adapter": (
        "testdb/testing/worker.py",
        "from my_service import users",
        "Nobody imports the service past the adapter",
    ),
    "the service knows runs": ("src/my_service/health.py", "import testdb.runs", ONE_WAY),
    "the service knows testdb": (
        "src/my_service/health.py",
        "from testdb import adapter",
        ONE_WAY,
    ),
    "a circle": (
        "testdb/postgres/catalog.py",
        "from testdb.postgres import templates",
        "No circles within a room",
    ),
}
"""Imports that must not be: where, what, and the contract that forbids it."""
UNTYPED = """import pytest

from my_service.users import User


def make_user(name, *, password="secret"):
    return User(email=f"{name}@example.com", name=f"{name} {password}")


@pytest.fixture
async def ada(session):
    user = make_user("ada")
    session.add(user)
    await session.commit()
    return user


class TestUsers:
    @pytest.mark.parametrize("limit,count", [(1, 1), (10, 1)])
    async def test_list(self, client, ada, limit, count):
        answer = await client.get("/users", params={"limit": limit})
        assert len(answer.json()) == count
"""
"""Tests as people write them: without types, docstrings and tuples of names."""
OF_POSTGRESQL = re.compile(r"psycopg|\bpg_|\b(SELECT|ALTER|CREATE|DROP|COMMENT ON) ")
"""SQL, and what only PostgreSQL understands."""


def by_default(*kinds: str) -> list[Any]:
    """Take these answers by default, and all others in the long form."""
    return [pytest.param(kind, marks=[] if kind in kinds else pytest.mark.long) for kind in ANSWERS]


differ = pytest.mark.parametrize("kind", by_default("one", "two", "sorts before testdb"))
"""Answers that decide about types and wheels."""


@pytest.fixture
def project(new_project: NewProject, kind: str) -> Project:
    """Have a project for a set of answers."""
    return new_project(**ANSWERS[kind])


@pytest.mark.parametrize(
    ("databases", "license_"), list(itertools.product(["one", "two"], LICENSES))
)
def test_nothing_is_left_unrendered(bake: Bake, databases: str, license_: str) -> None:
    project = bake(databases=databases, license=license_)
    for path in project.rglob("*"):
        assert not set(path.name) & set('<>:"|?*\\'), path
        assert "cookiecutter" not in path.name
        if path.is_file():
            text = path.read_text()
            assert not [left for left in UNRENDERED if left in text], path
        else:
            assert any(path.iterdir()), f"{path} is empty"
    assert LICENSES[license_] in (project / "LICENSE").read_text()


@one_and_two
def test_every_logical_database_has_its_migrations(bake: Bake, databases: str) -> None:
    migrations = bake(databases=databases) / "src" / "my_service" / "migrations"
    having = {logical: {"main"} for logical in ("users", "candles")}
    if databases == "two":
        having["candles"] = {"timeseries"}
    for table, logical in having.items():
        assert {path.parent.name for path in migrations.glob(f"*/*_{table}.py")} == logical
    assert {path.parent.name for path in migrations.glob("*/*")} == set.union(*having.values())


def test_one_module_alone_makes_and_drops_databases(bake: Bake) -> None:
    project = bake()
    issuing = {
        path.relative_to(project).as_posix()
        for path in project.rglob("*.py")
        if re.search(r"\b(CREATE|DROP) DATABASE (IF EXISTS )?[{\"]", path.read_text())
    }
    assert issuing == {"testdb/postgres/databases.py"}


def test_two_files_of_testdb_alone_know_the_answers(bake: Bake) -> None:
    defaults = default_answers()
    assert defaults.keys() == EVERY_OTHER_ANSWER.keys()
    assert not defaults.items() & EVERY_OTHER_ANSWER.items()
    one, other = read_testdb(bake()), read_testdb(bake(**EVERY_OTHER_ANSWER))
    assert one.keys() == other.keys()
    (template,) = (path.parent for path in TEMPLATE.glob("<<*>>/testdb"))
    holds_jinja = {
        name for name, text in read_testdb(template).items() if "<<" in text or "<%" in text
    }
    differs = {name for name, text in one.items() if text != other[name]}
    assert holds_jinja == differs == {"testdb/adapter.py", "testdb/identity/project.py"}


def default_answers() -> dict[str, str]:
    """Read the prompts and their defaults."""
    answers = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    return {
        name: default if isinstance(default, str) else default[0]
        for name, default in answers.items()
        if name[0] != "_"
    }


def read_testdb(project: Path) -> dict[str, str]:
    """Read all files of testdb, by their path in the project."""
    files = [
        path for path in project.glob("testdb/**/*") if path.is_file() and path.suffix != ".pyc"
    ]
    return {path.relative_to(project).as_posix(): path.read_text() for path in files}


def test_the_rooms_are_held_by_a_contract(new_project: NewProject) -> None:
    new_project().run("lint-imports").expect_times(0, " BROKEN$")


@pytest.mark.parametrize("breach", BREACHES)
def test_an_import_past_the_rooms_breaks_a_contract(new_project: NewProject, breach: str) -> None:
    project = new_project()
    file, line, contract = BREACHES[breach]
    project.write(file, f"{(project / file).read_text()}{line}\n")
    project.run("lint-imports", code=1).expect(f"{contract} BROKEN")


def test_only_the_room_postgres_speaks_sql_and_postgresql(bake: Bake) -> None:
    project = bake(databases="two")
    speaking = {
        path.relative_to(project).parts[:2]
        for folder in ("testdb", "tasks")
        for path in project.glob(f"{folder}/**/*.py")
        if OF_POSTGRESQL.search(code_of(path))
    }
    assert speaking == {("testdb", "postgres")}


def code_of(path: Path) -> str:
    """Read a module without its comments and docstrings."""
    module = ast.parse(path.read_text())
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
    return ast.unparse(module)


def test_the_answers_arrive_as_they_were_given(bake: Bake) -> None:
    project = bake(**TRICKY)
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert project.name == metadata["name"] == "uberraschung-no1"
    assert metadata["description"] == TRICKY["description"]
    assert metadata["authors"] == [{"name": TRICKY["author_name"], "email": TRICKY["author_email"]}]
    assert TRICKY["project_name"] in (project / "README.md").read_text()
    assert TRICKY["author_name"] in (project / "LICENSE").read_text()


@pytest.mark.parametrize("kind", ANSWERS)
def test_it_is_formatted_and_linted_as_generated(project: Project) -> None:
    project.run("ruff", "format", "--check")
    project.run("ruff", "check")


@pytest.mark.parametrize("kind", ["one"])
def test_a_test_needs_neither_types_nor_docstrings(project: Project) -> None:
    project.write("tests/integration/test_untyped.py", UNTYPED)
    project.run("ruff", "check")
    project.run("ruff", "format", "--check")
    project.check_types()


@differ
def test_it_is_typed_as_generated(project: Project) -> None:
    project.check_types()


@pytest.mark.parametrize("kind", by_default("sorts before testdb"))
def test_it_runs_whatever_it_is_called(project: Project, external_server: ExternalServer) -> None:
    there = project.with_shell(**external_server.variables)
    there.run("pytest", "tests/unit", "tests/integration", "tests/testdb")
    there.run("invoke", "db.sweep", "--templates")  # others look for their own


@differ
def test_the_wheel_holds_the_package_alone(project: Project) -> None:
    run(uv.find_uv_bin(), "build", "--quiet", cwd=project.path, env=clean_variables())
    (wheel,) = project.path.glob("dist/*.whl")
    (package,) = (project / "src").iterdir()
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {
        path.relative_to(project / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    (sdist,) = project.path.glob("dist/*.tar.gz")
    with tarfile.open(sdist) as archive:
        roots = {Path(name).parts[1] for name in archive.getnames()}
    assert roots <= {"src", "pyproject.toml", "README.md", "LICENSE", "PKG-INFO", ".gitignore"}
