"""The README's section "Start your own", followed to the letter: what it leaves is green."""

import re
from pathlib import Path

import pytest

from conftest import Bake
from harness.environment import Environment, nox

SECTION = re.compile(r"^## Start your own\n.*?```sh\n(.*?)```", re.DOTALL | re.MULTILINE)


def commands(project: Path) -> list[list[str]]:
    """Read the section's commands."""
    section = SECTION.search((project / "README.md").read_text())
    assert section
    return [line.partition("#")[0].split() for line in section[1].splitlines()]


@pytest.mark.parametrize("databases", ["one", "two"])
def test_what_is_left_without_the_demo_is_green(
    bake: Bake, environment: Environment, databases: str
) -> None:
    project = bake(databases=databases)
    remove, check = commands(project)
    environment.run(project, *remove)
    assert check == ["nox"]
    done = nox(project)
    for session in ("lint", "typecheck", "unit", "integration", "e2e", "examples"):
        assert f"* {session}: success" in done.stdout + done.stderr
    sources = [path.read_text() for path in project.glob("[!.]*/**/*.[pm][yd]")]
    assert len(sources) > 50
    assert not [text for text in sources if "# demo" in text]
    assert "argon2" not in (project / "pyproject.toml").read_text()
    assert [path.name for path in sorted((project / "examples").glob("example_*.py"))] == [
        "example_health.py",
        "example_users.py",
    ]
