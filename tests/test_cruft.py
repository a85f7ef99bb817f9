"""A project follows its template with cruft, from a release to what is here now."""

import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from harness.baking import TEMPLATE, copy_template
from harness.environment import clean_variables
from harness.outcome import Outcome, run

RELEASE: Final = "0.1.0"
SERVICE: Final = "<<cookiecutter.project_slug>>"
PACKAGE: Final = f"{SERVICE}/src/<<cookiecutter.package_name>>"
CRUFT: Final = (sys.executable, "-m", "cruft")
GIT: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Ada", "EMAIL": "ada@example.com"}.items()
}


def call(cwd: Path, *command: str, code: int = 0) -> Outcome:
    """Run a program in a home of its own; the template may be another user's."""
    (cwd.parent / ".gitconfig").write_text("[safe]\ndirectory = *\n")
    variables = {**clean_variables(), **GIT, "HOME": str(cwd.parent)}
    return run(*command, cwd=cwd, env=variables, code=code)


def commit(repository: Path) -> None:
    """Commit whatever there is."""
    call(repository, "git", "add", "--all")
    call(repository, "git", "commit", "--quiet", "--message=Whatever there is")


def copy_with_history(directory: Path) -> Path:
    """Copy the template with all its commits and tags; that of a shallow clone begins anew.

    Of a shallow repository on a disk, cruft's `git clone --filter` starts programs without end.
    """
    template = copy_template(directory)
    clone = directory / "clone"
    call(directory, "git", "clone", "--quiet", "--no-checkout", f"file://{TEMPLATE}", clone.name)
    if (clone / ".git" / "shallow").exists():
        call(template, "git", "init", "--quiet")
        commit(template)
    else:
        shutil.move(clone / ".git", template / ".git")
    return template


def commit_of_release(template: Path) -> str:
    """Find a release by its tag; in a clone without tags, by its section in the CHANGELOG."""
    if call(template, "git", "tag", "--list", RELEASE).stdout:
        return RELEASE
    added = ("log", "--format=%H", f"-S## {RELEASE} (", "--", "CHANGELOG.md")
    return call(template, "git", *added).stdout.split()[-1]


def append(path: Path, line: str) -> None:
    """Add a line to the end of a file."""
    path.write_text(f"{path.read_text()}{line}\n")


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file once."""
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("databases", "ci"),
    [("one", "gitlab"), pytest.param("two", "github", marks=pytest.mark.long)],
)
def test_a_project_follows_its_template_from_the_release_on(
    databases: str, ci: str, tmp_path: Path
) -> None:
    template, project = copy_with_history(tmp_path), tmp_path / "my-service"
    answers = f'--extra-context={{"databases": "{databases}", "ci": "{ci}"}}'
    release = ("--checkout", commit_of_release(template))
    call(tmp_path, *CRUFT, "create", str(template), "--no-input", answers, *release)
    call(project, "git", "init", "--quiet")
    commit(project)
    call(project, *CRUFT, "check", *release)
    call(project, *CRUFT, "diff", "--exit-code")

    settings, lock, room = "src/my_service/settings.py", "uv.lock", "testdb/postgres/waiting.py"
    append(project / settings, "# ours")
    append(project / lock, "# ours")
    append(project / "RECIPES.md", "Ours.")
    commit(project)
    (template / SERVICE / "NEWS.md").write_text("New in << cookiecutter.project_slug >>.\n")
    append(template / SERVICE / "noxfile.py", "# theirs")
    append(template / SERVICE / room, "# theirs")
    append(template / SERVICE / lock, "# theirs")
    append(template / SERVICE / "RECIPES.md", "Theirs.")
    (template / SERVICE / "tasks/reporting.py").unlink()
    commit(template)

    call(project, *CRUFT, "check", code=1)
    done = call(project, *CRUFT, "update", "--skip-apply-ask")
    call(project, *CRUFT, "check")
    read = {path: (project / path).read_text() for path in (settings, lock, room, "RECIPES.md")}
    assert (project / "NEWS.md").read_text() == "New in my-service.\n"
    assert (project / "noxfile.py").read_text().endswith("# theirs\n")
    assert not (project / "tasks/reporting.py").exists()
    assert read[settings].endswith("# ours\n")
    assert read[room].endswith("# theirs\n")
    assert read[lock].endswith("# ours\n"), "a project renews its lock by itself"
    done.expect("RECIPES.md")
    assert "<<<<<<<" in read["RECIPES.md"]
    assert "Ours.\n" in read["RECIPES.md"]
    assert "Theirs.\n" in read["RECIPES.md"]
    conflicts = call(project, "git", "diff", "--name-only", "--diff-filter=U").stdout.split()
    assert conflicts == ["RECIPES.md"]
    assert not list(project.rglob("*.rej"))
    assert (project / "src/my_service/migrations/timeseries").exists() == (databases == "two")
    assert (project / ".github").exists() == (ci == "github")
