"""The README's section "Start your own", followed to the letter: what it leaves is green."""

import re

import pytest

from harness.external import ExternalServer
from harness.project import NewProject, Project

SECTION = re.compile(r"^## Start your own\n.*?```sh\n(.*?)```", re.DOTALL | re.MULTILINE)
MIGRATIONS = "src/my_service/migrations/main"
COMMITTER = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
OWN = '''"""Own."""

revision = "{revision}"
down_revision = {before}


def upgrade() -> None:
    """Upgrade."""


def downgrade() -> None:
    """Undo the upgrade."""
'''


def commands(project: Project) -> list[list[str]]:
    """Read the section's commands."""
    section = SECTION.search((project / "README.md").read_text())
    assert section
    return [line.partition("#")[0].split() for line in section[1].splitlines()]


@pytest.fixture(scope="module")
def left(new_project: NewProject, request: pytest.FixtureRequest) -> Project:
    """Have a project whose owner wrote migrations amid the demo's, and has removed the demo."""
    project = new_project(databases=request.param)
    project.run("python", "-m", "compileall", "-q", "src")  # as whoever has run it once
    last = project.run("python", "-m", "my_service.migrations", "main", "heads").stdout.split()[0]
    own = {"early": '"0001"', "late": f'"{last}"', "both": '("0002", "late")'}
    for revision, before in own.items():
        path = f"{MIGRATIONS}/{revision}_candles.py"  # as the demo's, and not one of them
        project.write(path, OWN.format(revision=revision, before=before))
    project.replace(
        f"{MIGRATIONS}/0002_auth.py", 'down_revision = "0001"', 'down_revision = "early"'
    )
    project.write("src/my_service/fees.py", '"""Fees."""\n\nFEE = 5  # demonstrates a fee\n')
    remove, check = commands(project)
    assert check == ["nox"]
    project.run(*remove)
    return project


def test_what_would_be_lost_or_broken_is_named_and_nothing_is_removed(
    new_project: NewProject,
) -> None:
    project = new_project()
    project.run("git", "init", "--quiet")
    own = "src/my_service/orders.py"
    project.write(own, "from fastapi import APIRouter\nfrom my_service import auth, users\n")
    relative = project.write("src/my_service/invoices.py", "from .candles import Candle\n")
    project.write("tests/unit/test_own.py", "def (\n")
    refused = project.run("invoke", "demo.remove", code=1)  # before the first commit
    assert refused.output.splitlines() == [
        f"Nothing was removed: {relative} imports my_service.candles, which goes with the demo.",
        f"Nothing was removed: {own} imports my_service.auth, which goes with the demo.",
        "Nothing was removed: tests/unit/test_own.py:1 is no Python: invalid syntax.",
    ]
    for path in (own, relative, "tests/unit/test_own.py"):
        (project / path).unlink()
    project.run("git", "add", "--all")
    project.run("git", *COMMITTER, "commit", "--quiet", "--message", "Start")
    project.replace("src/my_service/candles.py", "OHLCV price candles", "Our candles")
    project.replace("src/my_service/users.py", "Users: create", "Our users: create")
    (line,) = project.run("invoke", "demo.remove", code=1).output.splitlines()
    assert line == (
        "Nothing was removed: commit or undo what you changed in src/my_service/candles.py."
    )
    project.run("git", "checkout", "src/my_service/candles.py")
    project.run("invoke", "demo.remove").expect("deleted src/my_service/candles.py")


@pytest.mark.parametrize("left", ["one", "two"], indirect=True)
def test_nothing_of_the_demo_is_left(left: Project) -> None:
    example = (left / ".env.example").read_text()
    assert "MAILBOX" not in example
    sources = [path.read_text() for path in left.path.glob("[!.]*/**/*.[pm][yd]")] + [example]
    assert len(sources) > 50
    assert not [text for text in sources if re.search(r"# demo\b", text)]
    assert (left / "src/my_service/fees.py").read_text().endswith("# demonstrates a fee\n")
    assert "argon2" not in (left / "pyproject.toml").read_text()
    assert [path.name for path in sorted((left / "examples").glob("example_*.py"))] == [
        "example_health.py",
        "example_users.py",
    ]
    history = left.run("python", "-m", "my_service.migrations", "main", "history").stdout
    chain = ["late -> both (head)", "early -> late", "0001 -> early", "<base> -> 0001"]
    assert [line.partition(",")[0] for line in history.splitlines()] == chain
    left.run("python", "-c", "from testdb.adapter import mismatch; assert mismatch() is None")
    left.run("ruff", "format", "--check")
    left.run("ruff", "check")


@pytest.mark.parametrize("left", ["one"], indirect=True)
def test_what_is_left_is_typed_and_green(left: Project, external_server: ExternalServer) -> None:
    left.check_types()
    left.with_shell(**external_server.variables).run(
        "pytest", "tests/unit", "tests/integration", "tests/testdb"
    )


@pytest.mark.long
@pytest.mark.parametrize("left", ["one", "two"], indirect=True)
def test_plain_nox_is_green_on_what_is_left(left: Project) -> None:
    done = left.nox()
    for session in ("lint", "typecheck", "unit", "integration", "e2e"):
        done.find(rf"\* {session}: success")
