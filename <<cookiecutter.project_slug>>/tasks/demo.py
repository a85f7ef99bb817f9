"""The demo: what it is made of, and how it goes."""

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import which

from invoke.context import Context
from invoke.exceptions import Exit

from tasks.reporting import task
from testdb.adapter import LOGICAL, PACKAGE, alembic_config
from testdb.identity.project import ROOT

MARK = re.compile(r"# demo(?=$|:| -->)", re.MULTILINE)
"""Stands on every line that belongs to the demo in a file that does not."""
MARKED = (
    ".env.example",
    "pyproject.toml",
    "*/*.md",
    "src/**/*.py",
    "tasks/*.py",
    "testdb/adapter.py",
    "tests/**/*.py",
)
"""Where such lines may be."""
IMPORTING = ("src/**/*.py", "examples/*.py", "tasks/*.py", "testdb/adapter.py", "tests/**/*.py")
"""What may import the demo."""
SOURCE = PACKAGE.relative_to(ROOT)
FILES = (
    f"{SOURCE}/auth.py",
    f"{SOURCE}/candles.py",
    f"{SOURCE}/demo.py",
    f"{SOURCE}/mailbox.py",
    f"{SOURCE}/ticks.py",
    f"{SOURCE}/migrations/main/0002_auth.py",
<% if cookiecutter.databases == "two" %>
    f"{SOURCE}/migrations/timeseries/0001_candles.py",
<% else %>
    f"{SOURCE}/migrations/main/0003_candles.py",
<% endif %>
    "examples/example_auth_journey.py",
    "examples/example_candles.py",
    "examples/example_concurrent_clients.py",
    "examples/example_websocket_ticks.py",
    "tests/e2e/test_auth.py",
    "tests/e2e/test_demo.py",
    "tests/integration/test_auth.py",
    "tests/integration/test_candles.py",
    "tests/integration/test_mailbox.py",
    "tests/testdb/integration/test_candles.py",
    "tests/unit/test_candles.py",
    "tests/unit/test_ticks.py",
    "tasks/demo.py",
)


@task
def remove(_: Context) -> None:
    """Delete the demo; users, health and what is yours stay.

    Nothing is deleted if one of its files differs from the last commit, or a module of yours
    imports one.
    """
    from testdb.runs.migration_errors import one_message

    files = [path for pattern in FILES for path in ROOT.glob(pattern)]
    if reasons := [*_edits(files), *_importers(files)]:
        raise Exit("\n".join(f"Nothing was removed: {reason}" for reason in reasons), code=1)
    for logical in LOGICAL:
        with one_message(logical):
            _relink(logical, files)
    for path in files:
        path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")
        # Git keeps no empty directory, nor one that holds bytecode alone.
        if not {inside.name for inside in path.parent.iterdir()} - {"__pycache__"}:
            (path.parent / ".gitkeep").touch()
    for path in (path for pattern in MARKED for path in ROOT.glob(pattern)):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not MARK.search(line)]
        if kept != lines:
            text = re.sub(r"\n{4,}", "\n\n\n", "".join(kept))  # as the formatter has it
            path.write_text(text, encoding="utf-8")
            print(f"changed {path.relative_to(ROOT)}")


def _edits(files: list[Path]) -> Iterator[str]:
    """Name the files that git has another version of: nobody could get their edits back."""
    git = which("git")
    if git is None:
        return
    names = [str(path.relative_to(ROOT)) for path in files]
    command = [git, "diff", "--relative", "--name-only", "--diff-filter=M", "HEAD", "--", *names]
    # It fails, and lists nothing, where there is no repository or no commit yet.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if edited := done.stdout.splitlines():
        yield f"commit or undo what you changed in {', '.join(edited)}."


def _importers(files: list[Path]) -> Iterator[str]:
    """Name the files that stay and import the demo in lines that stay, too."""
    gone = {".".join(_module(path)) for path in files}
    every = {path for pattern in IMPORTING for path in ROOT.glob(pattern)}
    for path in sorted(every - {*files}):
        lines = path.read_text(encoding="utf-8").splitlines()
        staying = "\n".join("" if MARK.search(line) else line for line in lines)
        try:
            imported = _imports(staying, _module(path))
        except SyntaxError as error:
            yield f"{path.relative_to(ROOT)}:{error.lineno} is no Python: {error.msg}."
        else:
            if of_demo := ", ".join(sorted(gone & imported)):
                yield f"{path.relative_to(ROOT)} imports {of_demo}, which goes with the demo."


def _module(path: Path) -> tuple[str, ...]:
    """Spell a file as the parts of its module's name."""
    top = PACKAGE.parent if path.is_relative_to(PACKAGE) else ROOT
    return path.relative_to(top).with_suffix("").parts


def _imports(text: str, module: tuple[str, ...]) -> set[str]:
    """Find what a module imports: modules, and names in them that may be modules.

    Raises:
        SyntaxError: it is no Python.
    """
    found = set[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module[: -node.level]  # nothing, unless the import is relative
            base = ".".join([*above, *filter(None, [node.module])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _relink(logical: str, files: list[Path]) -> None:
    """Link the migrations that stay past those that go."""
    from alembic.script import ScriptDirectory
    from alembic.util import to_tuple

    scripts = ScriptDirectory.from_config(alembic_config(logical))
    every = list(scripts.walk_revisions())
    gone = {script.revision for script in every if Path(script.path) in files}

    def staying(revisions: Iterable[str]) -> Iterator[str]:
        for revision in revisions:
            if revision in gone:
                script = scripts.get_revision(revision)
                yield from staying(to_tuple(script.down_revision, default=()))
            else:
                yield revision

    for script in every:
        before = to_tuple(script.down_revision, default=())
        if script.revision in gone or gone.isdisjoint(before):
            continue
        found = set(staying(before))
        for revision in tuple(found):  # one that comes before another of them is not named
            older = scripts.iterate_revisions(revision, "base")
            found -= {script.revision for script in older} - {revision}
        value = tuple(sorted(found)) if len(found) > 1 else next(iter(found), None)
        line = "down_revision = " + repr(value).replace("'", '"')
        path = Path(script.path)
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub("^down_revision.*", line, text, flags=re.MULTILINE), "utf-8")
        print(f"changed {path.relative_to(ROOT)}")
