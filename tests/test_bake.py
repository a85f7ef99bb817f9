"""What the template makes: complete, clean as generated, and legal under every license and name."""

import itertools
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import uv

from conftest import Bake
from harness.environment import Environment, clean_variables, run

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


@pytest.fixture(params=list(ANSWERS.values()), ids=list(ANSWERS))
def project(bake: Bake, request: pytest.FixtureRequest) -> Path:
    """Have a project for each set of answers."""
    return bake(**request.param)


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


@pytest.mark.parametrize("databases", ["one", "two"])
def test_every_logical_database_has_its_migrations(bake: Bake, databases: str) -> None:
    migrations = bake(databases=databases) / "src" / "my_service" / "migrations"
    having = {logical: {"main"} for logical in ("users", "candles")}
    if databases == "two":
        having["candles"] = {"timeseries"}
    for table, logical in having.items():
        assert {path.parent.name for path in migrations.glob(f"*/*_{table}.py")} == logical
    assert {path.parent.name for path in migrations.glob("*/*")} == set.union(*having.values())


def test_the_answers_arrive_as_they_were_given(bake: Bake) -> None:
    project = bake(**TRICKY)
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert project.name == metadata["name"] == "uberraschung-no1"
    assert metadata["description"] == TRICKY["description"]
    assert metadata["authors"] == [{"name": TRICKY["author_name"], "email": TRICKY["author_email"]}]
    assert TRICKY["project_name"] in (project / "README.md").read_text()
    assert TRICKY["author_name"] in (project / "LICENSE").read_text()


def test_it_is_formatted_linted_and_typed_as_generated(
    project: Path, environment: Environment
) -> None:
    environment.run(project, "ruff", "format", "--check")
    environment.run(project, "ruff", "check")
    cache = {"MYPY_CACHE_DIR": str(environment.path / "mypy")}  # of what they all depend on
    environment.run(project, "mypy", env=cache)


def test_it_runs_whatever_it_is_called(project: Path, environment: Environment) -> None:
    environment.run(project, "pytest", "tests/unit", "tests/integration")


def test_the_wheel_holds_the_package_alone(project: Path) -> None:
    run(uv.find_uv_bin(), "build", "--quiet", cwd=project, env=clean_variables())
    (wheel,) = project.glob("dist/*.whl")
    (package,) = (project / "src").iterdir()
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {
        path.relative_to(project / "src").as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    (sdist,) = project.glob("dist/*.tar.gz")
    with tarfile.open(sdist) as archive:
        roots = {Path(name).parts[1] for name in archive.getnames()}
    assert roots <= {"src", "pyproject.toml", "README.md", "LICENSE", "PKG-INFO", ".gitignore"}
