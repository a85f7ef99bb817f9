"""The demo: what it is made of, and how it goes."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from invoke.context import Context

from tasks.reporting import task
from testdb.adapter import LOGICAL, PACKAGE, alembic_config
from testdb.identity.project import ROOT

MARK = "# demo"
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
SOURCE = PACKAGE.relative_to(ROOT)
FILES = (
    f"{SOURCE}/auth.py",
    f"{SOURCE}/candles.py",
    f"{SOURCE}/demo.py",
    f"{SOURCE}/mailbox.py",
    f"{SOURCE}/ticks.py",
    f"{SOURCE}/migrations/main/0002_auth.py",
    f"{SOURCE}/migrations/*/*_candles.py",
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
    """Delete the demo; users, health and what is yours stay."""
    from testdb.runs.migration_errors import one_message

    files = [path for pattern in FILES for path in ROOT.glob(pattern)]
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
        kept = [line for line in lines if MARK not in line]
        if kept != lines:
            text = re.sub(r"\n{4,}", "\n\n\n", "".join(kept))  # as the formatter has it
            path.write_text(text, encoding="utf-8")
            print(f"changed {path.relative_to(ROOT)}")


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
