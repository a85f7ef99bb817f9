"""Bring testdb to a project that exists: `python adopt PATH [--package app] [--update]`.

It writes files that are not there yet, and changes none; with --update it replaces those that an
older template wrote. Needs Cookiecutter.
"""

import argparse
import re
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from advice import advise, advise_on_adapter, pytest_settings
from changes import (
    OWN_ADAPTER,
    Changes,
    dropped,
    git,
    holds_more_than_bytecode,
    outdated,
)
from cookiecutter.main import cookiecutter
from guess import guess
from jinja2 import Environment, StrictUndefined
from service import GuessError, Service

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
SPELLED = {
    "host": 'url.host or NOWHERE.strip("/")',
    "port": "str(url.port or 5432)",
    "database": 'url.database or ""',
    "username": 'url.username or ""',
    "password": '""',
}
"""What the adapter sets the variables to that hold a part of a URL."""


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
    return why_taken(root)


def why_taken(root: Path) -> str | None:
    """Say why the name testdb is taken in a folder, unless adopting took it."""
    if (root / OWN_ADAPTER).exists() and not (root / "testdb/engines.py").exists():
        return f"{root} was made from this template, and adopts nothing: `cruft update` is for it."
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
    folders = dict.fromkeys((service.package, service.migrations, service.versions))
    own = [folder for folder in folders if not folders.keys() & {*map(str, Path(folder).parents)}]
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


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        sys.exit(f"ERROR: {error}. See to that, and adopt again.")
