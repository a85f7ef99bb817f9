"""A project follows its template with cruft: create, check, update, and its own edits stay."""

import sys
from pathlib import Path

import pytest

from harness.baking import copy_template
from harness.environment import clean_variables
from harness.outcome import run

SERVICE = "<<cookiecutter.project_slug>>"
GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Ada", "EMAIL": "ada@example.com"}.items()
}


def call(cwd: Path, *command: str, code: int = 0) -> None:
    """Run a program in a home of its own."""
    variables = {**clean_variables(), **GIT, "HOME": str(cwd.parent)}
    run(*command, cwd=cwd, env=variables, code=code)


def commit(repository: Path) -> None:
    """Commit whatever there is."""
    call(repository, "git", "add", "--all")
    call(repository, "git", "commit", "--quiet", "--message=Whatever there is")


@pytest.mark.parametrize(
    ("databases", "ci"),
    [("one", "gitlab"), pytest.param("two", "github", marks=pytest.mark.long)],
)
def test_a_project_follows_its_template(databases: str, ci: str, tmp_path: Path) -> None:
    cruft = (sys.executable, "-m", "cruft")
    template, project = copy_template(tmp_path), tmp_path / "my-service"
    call(template, "git", "init", "--quiet")
    commit(template)
    answers = f'--extra-context={{"databases": "{databases}", "ci": "{ci}"}}'
    call(tmp_path, *cruft, "create", str(template), "--no-input", answers)
    call(project, "git", "init", "--quiet")
    commit(project)
    call(project, *cruft, "check")
    call(project, *cruft, "diff", "--exit-code")

    settings = project / "src" / "my_service" / "settings.py"
    settings.write_text(settings.read_text() + "# ours\n")
    commit(project)
    (template / SERVICE / "NEWS.md").write_text("New in << cookiecutter.project_slug >>.\n")
    noxfile = template / SERVICE / "noxfile.py"
    noxfile.write_text(noxfile.read_text() + "# theirs\n")
    (template / SERVICE / "tasks" / "reporting.py").unlink()
    commit(template)

    call(project, *cruft, "check", code=1)
    call(project, *cruft, "update", "--skip-apply-ask")
    call(project, *cruft, "check")
    assert (project / "NEWS.md").read_text() == "New in my-service.\n"
    assert (project / "noxfile.py").read_text().endswith("# theirs\n")
    assert not (project / "tasks" / "reporting.py").exists()
    assert settings.read_text().endswith("# ours\n")
    assert not list(project.rglob("*.rej"))
    assert not (project / "src" / "my_service" / "migrations" / "timeseries").exists() or (
        databases == "two"
    )
    assert (project / ".github").exists() == (ci == "github")
