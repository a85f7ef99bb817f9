"""Say what the owner of an adopted project does next, in files of theirs."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from changes import OWN_ADAPTER, git, knows_testdb
from configuration import read, read_ini, read_pyproject
from service import Place, Service
from syntax import find_fixtures, python_files

TO_FILL_IN = "NotImplementedError"
"""What the adapter raises where nothing could be found."""
OURS = {
    *("app", "client", "databases", "http", "isolation", "run", "service", "session", "worker"),
    *("adapter_session", "service_databases", "worker_app", "worker_databases", "worker_service"),
}
"""The fixtures in testdb/fixtures.py, and what they are made of."""
IMPORTS_TASKS = re.compile(r"\bfrom tasks import[\s(\w,]+\bserver\b")
"""What the owner of a tasks/__init__.py is told to add."""
PYTEST_SETTINGS = {
    "pytest.toml": r"^\[pytest\]",
    ".pytest.toml": r"^\[pytest\]",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": r"^\[tool\.pytest\b",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
"""Where pytest looks for its settings, in its order, and what shows that they are there."""
_DRIVER = re.compile(r"\b(?:psycopg2|asyncpg|pg8000|aiopg)\b")
SQLITE = re.compile(
    r"""^(?!\s+\w+\s*:)[^#\n]*"""
    r"""(?:create_(?:async_)?engine\(|(?<!default)=)\s*f?["']sqlite(?:\+\w+)?:""",
    re.MULTILINE,
)
"""A URL of SQLite that is no default of a setting, a field in a class, nor of a variable."""


def pytest_settings(root: Path) -> Path | None:
    """Find the file that pytest takes its settings from, in the project or above it under git."""
    repository = Path(git(root, "rev-parse", "--show-toplevel").stdout.rstrip("\n"))
    for folder in (root, *root.parents):
        for name, shown_by in PYTEST_SETTINGS.items():
            path = folder / name
            if path.exists() and re.search(shown_by, read(path), re.MULTILINE):
                return path
        if folder == repository:
            break
    return None


def advise(
    root: Path, service: Service, settings: Path | None, *, hides_tasks: bool
) -> Iterator[str]:
    """Say what the owner adds to files of their own, ready to paste."""
    tool = "uv add --group testdb" if (root / "uv.lock").exists() else "pip install"
    yield f"{tool} -r testdb/requirements.txt"
    if settings:
        yield from advise_on_pytest(root, service, settings)
    pyproject = read_pyproject(root)
    if advice := advise_on_wheels(pyproject, service.package):
        yield advice
    options = read_ini(root / service.alembic_ini) if service.alembic_ini.endswith(".ini") else {}
    if {"prepend_sys_path", "version_locations"} & {*options} and "path_separator" not in options:
        yield (
            f"In {service.alembic_ini}, add `path_separator = os` to `[alembic]`: Alembic warns "
            "without it, and no test runs where pytest makes errors of warnings"
        )
    env = root / service.migrations / "env.py"
    if "current_app" in (text := read(env)):
        factory = service.factory or Place("…", "create_app")
        if "app_context" not in text:
            yield (
                f"In {env.relative_to(root)}, which Alembic runs without Flask, add below `from "
                f"flask import current_app`: `if not current_app: from {factory.module} import "
                f"{factory.name}; {factory.name}().app_context().push()`"
            )
    if found := find_drivers(root, service):
        yield (
            f"{', '.join(found)}: the driver has to be psycopg 3, in tests at least. Have the "
            "service write its URL as postgresql+psycopg://…, async or not, or take the one in "
            "its settings as it is, and no arguments of another driver's"
        )
    if found := find_sqlite(root, service):
        yield (
            f"{found} is written into the code, and testdb's `session` refuses such an engine: "
            f"tests would commit there. Have the service take its URL from {service.variable}"
        )
    yield from advise_on_tests(root, service)
    yield from advise_on_tools(root, service, hides_tasks=hides_tasks)


def advise_on_tools(root: Path, service: Service, *, hides_tasks: bool) -> Iterator[str]:
    """Say what nox and Invoke lack."""
    noxfile, tasks = root / "noxfile.py", root / "tasks" / "__init__.py"
    if noxfile.exists() and "testdb/requirements.txt" not in read(noxfile):
        yield (
            'In the sessions of noxfile.py that run pytest, add `session.install("-r", '
            '"testdb/requirements.txt")`; where a message of testdb says `nox -s dev`, run '
            "`pip install -r testdb/requirements.txt`"
        )
    elif service.not_installed and not noxfile.exists():
        yield service.not_installed
    if hides_tasks:
        yield (
            "tasks.py is yours, and a folder tasks/ would hide it: `invoke db.…` is left out. Make "
            "it tasks/__init__.py, and adopt again"
        )
    elif tasks.exists() and not (knows_testdb(text := read(tasks)) or IMPORTS_TASKS.search(text)):
        yield (
            "To tasks/__init__.py, add `from tasks import db, examples, server, service`, and "
            "those to its namespace"
        )


def advise_on_wheels(pyproject: dict[str, Any], package: str) -> str | None:
    """Say how setuptools is told what to pack: it fails, or packs testdb, where that is not told.

    Args:
        pyproject: what pyproject.toml holds.
        package: the folder of the package, or its one file, as seen from the root.
    """
    backend = pyproject.get("build-system", {}).get("build-backend", "")
    told = pyproject.get("tool", {}).get("setuptools", {})
    outermost = Path(package).parts[0]
    if "setuptools" not in backend or outermost == "src" or {"packages", "py-modules"} & {*told}:
        return None
    if outermost.endswith(".py"):
        table, line = "tool.setuptools", f'py-modules = ["{outermost.removesuffix(".py")}"]'
    else:
        table = "tool.setuptools.packages.find"
        line = f'include = ["{outermost}", "{outermost}.*"]'
    return f"To pyproject.toml, add `[{table}]` and `{line}`: wheels hold no testdb"


def advise_on_adapter(root: Path, service: Service, *, is_new: bool) -> Iterator[str]:
    """Say what the owner fills in, or looks at."""
    if not is_new:
        if TO_FILL_IN in read(root / OWN_ADAPTER):
            yield f"In testdb/adapter.py, fill in what raises {TO_FILL_IN}"
        return
    if service.parts:
        yield (
            "In testdb/adapter.py, see that `environment` sets all that the URL of the database "
            f"is made of; found were {', '.join(service.parts.values())}"
        )
    yield from (f"In testdb/adapter.py, {line}" for line in service.not_found)


def advise_on_pytest(root: Path, service: Service, path: Path) -> Iterator[str]:
    """Say what the settings of pytest lack."""
    text, file = read(path), os.path.relpath(path, root)
    folders = [root.relative_to(path.parent) / folder for folder in service.pythonpath.split()]
    wanted = {
        "addopts": ["-p", "testdb.fixtures"],
        "pythonpath": [folder.as_posix() for folder in folders],
    }
    for name, words in wanted.items():
        spelled = json.dumps(words) if path.suffix == ".toml" else " ".join(words)
        if (found := find_setting(name, text)) is None:
            yield f"To the settings of pytest in {file}, add `{name} = {spelled}`"
        elif name == "addopts" and not any(word.endswith("testdb.fixtures") for word in found):
            yield f"To `addopts` in {file}, add `{' '.join(words)}`"
        elif name == "pythonpath" and folders[0] not in map(Path, found):
            yield f"To `pythonpath` in {file}, add `{words[0]}`"


def find_setting(name: str, text: str) -> list[str] | None:
    """Find the words of a setting of pytest, in TOML or not; None where it is not set."""
    found = re.search(rf"^{name}\s*=(.*?)(?=^[\w\[]|\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"""[^\s"',\[\]]+""", found[1]) if found else None


def advise_on_tests(root: Path, service: Service) -> Iterator[str]:
    """Say what stands between the tests and the fixtures of testdb."""
    sets_url = re.compile(rf"""environ\[["']{service.variable}["']\]\s*=""")
    for path in sorted([*root.glob("conftest.py"), *root.glob("tests/**/*.py")]):
        text, name = read(path), path.relative_to(root)
        if sets_url.search(text):
            yield (
                f"{name} sets {service.variable}, which testdb does. Delete that, or make it "
                "`os.environ.setdefault`"
            )
        if path.name != "conftest.py" or knows_testdb(text):
            continue
        fixtures, engine_line = find_fixtures(path, OURS)
        own = [f"the fixtures {', '.join(fixtures)} of {name}"] if fixtures else []
        own += [f"the engine that {name}:{engine_line} makes"] if engine_line else []
        if own:
            yield (
                f"Your tests go on with {' and '.join(own)}. Delete these, and the tests run on "
                "testdb's PostgreSQL; or give one folder the fixtures of testdb, by its "
                "conftest.py: `from testdb.fixtures import app, client, session`"
            )
        if others := [fixture for fixture in fixtures if fixture not in OURS]:
            yield (
                f"Where tests themselves ask for {', '.join(others)}, have them ask for `session`; "
                "or define such a fixture, which returns `session`"
            )


def find_drivers(root: Path, service: Service) -> list[str]:
    """Name the drivers other than psycopg 3 that a project names, each with the first file."""
    files = [
        *python_files(root / service.package),
        *(root / service.migrations).glob("*.py"),
        root / service.alembic_ini,
        root / "pyproject.toml",
        *sorted(root.glob("requirements*.txt")),
    ]
    found: dict[str, str] = {}
    for file in files:
        for number, line in enumerate(read(file).splitlines(), 1):
            for driver in _DRIVER.findall(line):
                found.setdefault(driver, f"{driver} in {file.relative_to(root)}:{number}")
            if service.parts and "postgresql://" in line:  # SQLAlchemy 2.0 takes psycopg2 there
                found.setdefault("", f"postgresql:// in {file.relative_to(root)}:{number}")
    return list(found.values())


def find_sqlite(root: Path, service: Service) -> str | None:
    """Name the first URL of SQLite that is written into the code."""
    for file in python_files(root / service.package):
        if found := SQLITE.search(text := read(file)):
            line = text.count("\n", 0, found.end()) + 1
            return f"SQLite in {file.relative_to(root)}:{line}"
    return None
