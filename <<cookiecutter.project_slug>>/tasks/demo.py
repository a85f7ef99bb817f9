"""The demo: what it is made of, and how it goes."""

import re

from invoke.context import Context
from invoke.tasks import task

from testdb.adapter import PACKAGE
from testdb.identity.project import ROOT

MARK = "# demo"
"""Stands on every line that belongs to the demo in a file that does not."""
MARKED = (
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
    "tests/testdb/integration/test_candles.py",
    "tests/unit/test_candles.py",
    "tests/unit/test_mailbox.py",
    "tests/unit/test_ticks.py",
    "tasks/demo.py",
)


@task
def remove(_: Context) -> None:
    """Delete the demo; users and health stay, to copy from."""
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            path.unlink()
            print(f"deleted {path.relative_to(ROOT)}")
            if not any(path.parent.iterdir()):  # git keeps no empty directory
                (path.parent / ".gitkeep").touch()
    for path in (path for pattern in MARKED for path in ROOT.glob(pattern)):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if MARK not in line]
        if kept != lines:
            text = re.sub(r"\n{4,}", "\n\n\n", "".join(kept))  # as the formatter has it
            path.write_text(text, encoding="utf-8")
            print(f"changed {path.relative_to(ROOT)}")
