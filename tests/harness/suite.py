"""Tests that are written into a baked project, and what a run of them says of its databases."""

from typing import Final

from harness.outcome import Outcome
from harness.project import Project

ALL_COUNTS: Final = r"testdb: (\d+) databases created, (\d+) dropped, (\d+) kept, (\d+) left"


def write(project: Project, source: str) -> str:
    """Put tests into the project; returns the path for pytest."""
    return project.write("tests/integration/test_written.py", source)


def audit(done: Outcome) -> dict[str, int]:
    """Read the audit of a run."""
    counts = done.find(ALL_COUNTS).groups()
    return dict(zip(("created", "dropped", "kept", "left"), map(int, counts), strict=True))
