"""Bring testdb to a project that exists: `python adopt PATH [--package app] [--update]`.

It writes files that are not there yet, and changes none; with --update it replaces those that an
older template wrote. Needs Cookiecutter.
"""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from changes import (
    OWN_ADAPTER,
    Changes,
    dropped,
    git,
    holds_more_than_bytecode,
    knows_testdb,
    outdated,
)
from cookiecutter.main import cookiecutter
from guess import (
    SPELLED,
    GuessError,
    Place,
    Service,
    find_drivers,
    find_fixtures,
    guess,
    python_files,
    read,
    read_pyproject,
)
from jinja2 import Environment, StrictUndefined

TEMPLATE = Path(__file__).resolve().parents[1]
VARIANTS = TEMPLATE / "adopt" / "files"
MARK = "# demo"
"""Stands on the lines of the generated project that belong to its demo."""
TAKEN = ("testdb/**/*.py", "tasks/*.py", "examples/run_all.py")
"""What an adopted project has of a generated one."""
LEFT_OUT = (OWN_ADAPTER, "tasks/demo.py")
NOT_INSTALLED = {
    "from pathlib import Path\n": "",
    'SERVICES = Path(__file__).resolve().parents[2].glob("src/*/__init__.py")\n': "",
    "service depends on, one of what its tests do, and the service itself.": (
        "service depends on, and one of what its tests do."
    ),
    ", *(path.parent.name for path in SERVICES)]": "]",
}
"""What testdb/identity/interpreter.py says otherwise where the service need not be installed."""
TO_FILL_IN = "NotImplementedError"
"""What the adapter raises where nothing could be found."""
OURS = {
    *("app", "client", "databases", "http", "isolation", "run", "service", "session", "worker"),
    *("adapter_session", "service_databases", "worker_app", "worker_databases", "worker_service"),
}
"""The fixtures in testdb/fixtures.py, and what they are made of."""
IMPORTS_TASKS = re.compile(r"\bfrom tasks import[\s(\w,]+\bserver\b")
"""What the owner of a tasks/__init__.py is told to add."""
SQLITE = re.compile(
    r"""^(?!\s+\w+\s*:)[^#\n]*"""
    r"""(?:create_(?:async_)?engine\(|(?<!default)=)\s*f?["']sqlite(?:\+\w+)?:""",
    re.MULTILINE,
)
"""A URL of SQLite that is no default of a setting, a field in a class, nor of a variable."""
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


def main() -> None:
    """Write what is missing, and say what is next.

    Raises:
        SystemExit: nothing was written. The message says why.
    """
    parser = argparse.ArgumentParser(prog="adopt", description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path, help="the project: a folder under git")
    parser.add_argument("--package", help="its Python package, where there are several")
    parser.add_argument(
        "--update", action="store_true", help="replace what an older template wrote"
    )
    options = parser.parse_args()
    root = options.path.expanduser().resolve()
    if problem := why_not(root):
        sys.exit(f"ERROR: {problem} Nothing was written.")
    try:
        service = guess(root, options.package)
    except GuessError as error:
        sys.exit(f"ERROR: {error} Nothing was written.")
    wanted = files(service)
    hides_tasks = (root / "tasks.py").exists()
    if hides_tasks:
        wanted = {name: text for name, text in wanted.items() if not name.startswith("tasks/")}
    settings = pytest_settings(root)
    if settings and settings != root / "pytest.ini":
        del wanted["pytest.ini"]
    new = {name: text for name, text in wanted.items() if not (root / name).exists()}
    changes = Changes(root, wanted, new)
    advice = []
    if options.update:
        changes.update()
    elif behind := [*outdated(root, wanted), *dropped(root, wanted)]:
        advice.append(
            f"Files of another version of this template: {len(behind)}, such as {behind[0]}. "
            f"./run adopt --update {root} replaces them"
        )
    if problem := changes.linked() or changes.uncommitted():
        sys.exit(f"ERROR: {problem} Nothing was written.")
    advice += advise(root, service, settings, hides_tasks=hides_tasks)
    advice += advise_on_adapter(root, service, is_new=OWN_ADAPTER in new)
    undo = changes.how_to_undo()
    write(changes)
    report(changes)
    if undo:
        print(f"To undo this, in {root}: {undo}")
    print("\nNext:")
    for number, line in enumerate([*advice, "Read testdb/adapter.py, and run: pytest -n 2"], 1):
        print(f"{number}. {line}")


def why_not(root: Path) -> str | None:
    """Say why a folder is none to adopt, if it is not."""
    if not root.is_dir():
        return f"{root} is no folder."
    if root.is_relative_to(TEMPLATE) or TEMPLATE.is_relative_to(root):
        return f"{root} is the template itself, or holds it. Name the project to bring it to."
    commit = "`git add --all` and `git commit` there"
    asked = git(root, "rev-parse", "--is-inside-work-tree")
    if asked.returncode:
        why = asked.stderr.partition("\n")[0]
        return (
            f"{root} is not under git, which shows what is new, and undoes it ({why}). See to "
            f"that, or `git init`, {commit}."
        )
    if git(root, "rev-parse", "--verify", "HEAD").returncode:
        return f"{root} has no commit, so that git cannot tell yours from what is new: {commit}."
    ours = [root / name for name in (OWN_ADAPTER, "testdb/identity/disposable.py")]
    for taken in (root / "testdb", root / "testdb.py"):
        if holds_more_than_bytecode(taken) and not any(path.exists() for path in ours):
            return f"{taken} exists, and is not of this template, which needs that name."
    return None


def files(service: Service) -> dict[str, str]:
    """Make the text of every file that an adopted project has, by its path."""
    made = {}
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "config.yaml")
        config.write_text(f"replay_dir: {directory}\ncookiecutters_dir: {directory}\n")
        answers = {"project_slug": service.slug, "package_name": "service", "databases": "one"}
        baked = Path(
            cookiecutter(
                str(TEMPLATE),
                no_input=True,
                extra_context=answers,
                output_dir=directory,
                config_file=str(config),
                accept_hooks=False,
            )
        )
        for path in sorted(path for pattern in TAKEN for path in baked.glob(pattern)):
            name = path.relative_to(baked).as_posix()
            if name not in LEFT_OUT:
                made[name] = without_demo(path.read_text("utf-8"))
    own = dict.fromkeys((service.package, service.migrations))
    if not service.versions.startswith(f"{service.migrations}/"):
        own[service.versions] = None
    places = ", ".join(f'"{place}"' for place in own)
    made["testdb/identity/project.py"] = made["testdb/identity/project.py"].replace(
        '("src", ', f"({places}, "
    )
    made["tasks/service.py"] = made["tasks/service.py"].replace(
        "{service.url}/docs", "{service.url}"
    )
    source = Path(service.package).parent.as_posix()
    paths = "str(ROOT)" if source == "." else f'f"{{ROOT}}{{os.pathsep}}{{ROOT}}/{source}"'
    made["tasks/examples.py"] = made["tasks/examples.py"].replace(
        "    script = ",
        f'    os.environ["PYTHONPATH"] = {paths}  # testdb is not installed\n    script = ',
    )
    for old, new in NOT_INSTALLED.items():
        interpreter = made["testdb/identity/interpreter.py"]
        made["testdb/identity/interpreter.py"] = interpreter.replace(old, new)
    jinja = Environment(
        autoescape=False,  # noqa: S701  Python, not HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
    )
    for path in VARIANTS.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            text = jinja.from_string(path.read_text("utf-8")).render(
                vars(service),
                spelled=SPELLED,
                install_pyproject=any("PYPROJECT" in line for line in service.install),
            )
            made[path.relative_to(VARIANTS).as_posix()] = text
    return made


def without_demo(text: str) -> str:
    """Leave out the lines of the demo, as `invoke demo.remove` does."""
    kept = "".join(line for line in text.splitlines(keepends=True) if MARK not in line)
    return re.sub(r"\n{4,}", "\n\n\n", kept)


def write(changes: Changes) -> None:
    """Write files that do not exist, and replace and remove others: all, or none."""
    done: list[Path] = []
    before: dict[Path, bytes] = {}
    try:
        for name, text in changes.new.items():
            path = changes.root / name
            for folder in reversed(path.parents):
                if not folder.exists():
                    folder.mkdir()
                    done.append(folder)
            with path.open("x", encoding="utf-8") as file:
                done.append(path)
                file.write(text)
        for name in (*changes.replaced, *changes.removed):
            path = changes.root / name
            before[path] = path.read_bytes()
            if name in changes.replaced:
                path.write_text(changes.replaced[name], "utf-8")
            else:
                path.unlink()
    except BaseException as error:
        for path, content in before.items():
            path.write_bytes(content)
        for path in reversed(done):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            sys.exit(f"ERROR: {error.strerror}: {error.filename}. Nothing was written.")
        raise


def report(changes: Changes) -> None:
    """Say what was written, and what was there."""
    became = {
        "Written": changes.new,
        "Replaced": changes.replaced,
        "Removed": changes.removed,
        "Left as it is": changes.left,
    }
    for title, names in became.items():
        if title in ("Replaced", "Removed") and not names:
            continue
        folders = Counter(f"{Path(name).parts[0]}/" for name in sorted(names) if "/" in name)
        shown = [f"{folder} ({count} files)" for folder, count in folders.items()]
        shown += sorted(name for name in names if "/" not in name)
        print(f"{title}: {', '.join(shown) or 'nothing'}")


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
    noxfile, tasks = root / "noxfile.py", root / "tasks" / "__init__.py"
    if noxfile.exists() and "testdb/requirements.txt" not in read(noxfile):
        yield (
            'In the sessions of noxfile.py that run pytest, add `session.install("-r", '
            '"testdb/requirements.txt")`; where a message of testdb says `nox -s dev`, run '
            "`pip install -r testdb/requirements.txt`"
        )
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


def find_sqlite(root: Path, service: Service) -> str | None:
    """Name the first URL of SQLite that is written into the code, tests in the package aside."""
    package = root / service.package
    for file in python_files(package):
        is_test = any(re.match("test|conftest", part) for part in file.relative_to(package).parts)
        if not is_test and (found := SQLITE.search(text := read(file))):
            line = text.count("\n", 0, found.end()) + 1
            return f"SQLite in {file.relative_to(root)}:{line}"
    return None


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
        own += [f"the engine in {name}:{engine_line}"] if engine_line else []
        if own:
            yield (
                f"Your tests go on with {' and '.join(own)}. Delete these, and the tests run on "
                "testdb's PostgreSQL; or give one folder the fixtures of testdb, by its "
                "conftest.py: `from testdb.fixtures import app, client, session`"
            )
        if others := [fixture for fixture in fixtures if fixture not in OURS]:
            yield (
                f"Where tests ask for {', '.join(others)}, have them ask for `session`; or define "
                "such a fixture, which returns `session`"
            )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        sys.exit(f"ERROR: {error}. See to that, and adopt again.")
