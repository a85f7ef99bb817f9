"""Bring testdb to a project that exists: `python adopt PATH [--package app]`.

It writes files that are not there yet, and changes none. Needs Cookiecutter.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cookiecutter.main import cookiecutter
from guess import GuessError, Place, Service, guess, read, read_pyproject
from jinja2 import Environment, StrictUndefined

TEMPLATE = Path(__file__).resolve().parents[1]
VARIANTS = TEMPLATE / "adopt" / "files"
MARK = "# demo"
"""Stands on the lines of the generated project that belong to its demo."""
OWN_ADAPTER = "testdb/adapter.py"
TAKEN = ("testdb/**/*.py", "tasks/*.py", "examples/run_all.py")
"""What an adopted project has of a generated one."""
LEFT_OUT = (OWN_ADAPTER, "tasks/demo.py")
TO_FILL_IN = "NotImplementedError"
"""What the adapter raises where nothing could be found."""
OURS = {
    *("app", "client", "databases", "http", "isolation", "run", "service", "session", "worker"),
    *("service_databases", "worker_app", "worker_databases", "worker_service"),
}
"""The fixtures in testdb/fixtures.py, and what they are made of."""
FIXTURE = re.compile(
    r"""^@pytest\S*fixture(?:\(.*?name=["'](\w+)["'].*?\)|(?:\(.*?\))?\n(?:async )?def (\w+))""",
    re.MULTILINE,
)
"""The definition of a fixture, by its name."""
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
    if settings and settings != "pytest.ini":
        del wanted["pytest.ini"]
    new = {name: text for name, text in wanted.items() if not (root / name).exists()}
    advice = list(advise(root, service, settings, hides_tasks=hides_tasks))
    if OWN_ADAPTER in new:
        advice += [f"In testdb/adapter.py, {line}" for line in service.not_found]
    elif TO_FILL_IN in read(root / OWN_ADAPTER):
        advice.append(f"In testdb/adapter.py, fill in what raises {TO_FILL_IN}")
    write(root, new)
    report(sorted(new), sorted(wanted.keys() - new.keys()))
    print("\nNext:")
    for number, line in enumerate([*advice, "Read testdb/adapter.py, and run: pytest -n 2"], 1):
        print(f"{number}. {line}")


def why_not(root: Path) -> str | None:
    """Say why a folder is none to adopt, if it is not."""
    if not root.is_dir():
        return f"{root} is no folder."
    if root.is_relative_to(TEMPLATE) or TEMPLATE.is_relative_to(root):
        return f"{root} is the template itself, or holds it. Name the project to bring it to."
    git = ("git", "-C", str(root), "rev-parse", "--is-inside-work-tree")
    asked = subprocess.run(git, capture_output=True, text=True, errors="replace", check=False)
    if asked.returncode:
        why = asked.stderr.partition("\n")[0]
        return (
            f"{root} is not under git, which shows what is new, and undoes it ({why}). See to "
            "that, or `git init` there."
        )
    ours = root / "testdb" / "identity" / "disposable.py"
    for taken in (root / "testdb", root / "testdb.py"):
        if taken.exists() and not ours.exists():
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
    places = ", ".join(f'"{place}"' for place in own)
    made["testdb/identity/project.py"] = made["testdb/identity/project.py"].replace(
        '("src", ', f"({places}, "
    )
    made["tasks/service.py"] = made["tasks/service.py"].replace(
        "{service.url}/docs", "{service.url}"
    )
    made["tasks/examples.py"] = made["tasks/examples.py"].replace(
        "    script = ",
        '    os.environ["PYTHONPATH"] = str(ROOT)  # testdb is not installed\n    script = ',
    )
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
                install_pyproject=any("PYPROJECT" in line for line in service.install),
            )
            made[path.relative_to(VARIANTS).as_posix()] = text
    return made


def without_demo(text: str) -> str:
    """Leave out the lines of the demo, as `invoke demo.remove` does."""
    kept = "".join(line for line in text.splitlines(keepends=True) if MARK not in line)
    return re.sub(r"\n{4,}", "\n\n\n", kept)


def write(root: Path, new: dict[str, str]) -> None:
    """Write files that do not exist: all, or none."""
    done: list[Path] = []
    try:
        for name, text in new.items():
            path = root / name
            for folder in reversed(path.parents):
                if not folder.exists():
                    folder.mkdir()
                    done.append(folder)
            with path.open("x", encoding="utf-8") as file:
                done.append(path)
                file.write(text)
    except BaseException as error:
        for path in reversed(done):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            sys.exit(f"ERROR: {error.strerror}: {error.filename}. Nothing was written.")
        raise


def report(new: list[str], left: list[str]) -> None:
    """Say what was written, and what was there."""
    for title, names in (("Written", new), ("Left as it is", left)):
        folders = Counter(f"{Path(name).parts[0]}/" for name in names if "/" in name)
        shown = [f"{folder} ({count} files)" for folder, count in folders.items()]
        shown += [name for name in names if "/" not in name]
        print(f"{title}: {', '.join(shown) or 'nothing'}")


def pytest_settings(root: Path) -> str | None:
    """Find the file that pytest takes its settings from."""
    for name, shown_by in PYTEST_SETTINGS.items():
        path = root / name
        if path.exists() and re.search(shown_by, read(path), re.MULTILINE):
            return name
    return None


def advise(
    root: Path, service: Service, settings: str | None, *, hides_tasks: bool
) -> Iterator[str]:
    """Say what the owner adds to files of their own, ready to paste."""
    tool = "uv add --group testdb" if (root / "uv.lock").exists() else "pip install"
    yield f"{tool} -r testdb/requirements.txt"
    if settings:
        yield from advise_on_pytest(root / settings)
    pyproject = read_pyproject(root)
    backend = pyproject.get("build-system", {}).get("build-backend", "")
    is_flat = "/" not in service.package
    if is_flat and "setuptools" in backend and "setuptools" not in pyproject.get("tool", {}):
        yield (
            "To pyproject.toml, add `[tool.setuptools]` and `packages = "
            f'["{service.package}"]`: wheels hold no testdb'
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
    yield from advise_on_tests(root, service)
    noxfile, tasks = root / "noxfile.py", root / "tasks" / "__init__.py"
    if noxfile.exists() and "testdb" not in read(noxfile):
        yield (
            'In the sessions of noxfile.py that run pytest, add `session.install("-r", '
            '"testdb/requirements.txt")`; where testdb says `nox -s dev`, it means that'
        )
    if hides_tasks:
        yield (
            "tasks.py is yours, and a folder tasks/ would hide it: `invoke db.…` is left out. Make "
            "it tasks/__init__.py, and adopt again"
        )
    elif tasks.exists() and "testdb" not in read(tasks):
        yield (
            "To tasks/__init__.py, add `from tasks import db, examples, server, service`, and "
            "those to its namespace"
        )


def advise_on_pytest(path: Path) -> Iterator[str]:
    """Say what the settings of pytest lack."""
    text = read(path)
    if "testdb.fixtures" in text:
        return
    for name, *words in (("addopts", "-p", "testdb.fixtures"), ("pythonpath", ".")):
        spelled = json.dumps(words) if path.suffix == ".toml" else " ".join(words)
        if not re.search(rf"^{name}\b", text, re.MULTILINE):
            yield f"To the settings of pytest in {path.name}, add `{name} = {spelled}`"
        elif name == "addopts":
            yield f"To `addopts` in {path.name}, add `{' '.join(words)}`"


def advise_on_tests(root: Path, service: Service) -> Iterator[str]:
    """Say what stands between the tests and the fixtures of testdb."""
    sets_url = re.compile(rf"""environ\[["']{service.variable}["']\]\s*=""")
    for path in sorted(root.glob("tests/**/*.py")):
        text, name = read(path), path.relative_to(root)
        if sets_url.search(text):
            yield (
                f"{name} sets {service.variable}, which testdb does. Delete that, or make it "
                "`os.environ.setdefault`"
            )
        fixtures = {"".join(found) for found in FIXTURE.findall(text)} & OURS
        if path.name == "conftest.py" and fixtures and "testdb" not in text:
            yield (
                f"Your tests go on with the fixtures {', '.join(sorted(fixtures))} of {name}. "
                "Delete these fixtures, and the tests run on PostgreSQL; or give one folder those "
                "of testdb, by its conftest.py: `from testdb.fixtures import app, client, session`"
            )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        sys.exit(f"ERROR: {error}. See to that, and adopt again.")
