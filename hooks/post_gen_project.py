"""Remove what the answers leave out, and say what to do next."""

import os
import shlex
from pathlib import Path

DATABASES = "<< cookiecutter.databases >>"
CI = "<< cookiecutter.ci >>"
BY = "<< 'Cookiecutter' if cookiecutter._output_dir | default('') else 'cruft' >>"
FILES = {
    "github": (
        ".github/workflows/ci.yml",
        ".github/workflows/sweep.yml",
        ".github/dependabot.yml",
    ),
    "gitlab": (".gitlab-ci.yml",),
}
"""What only one kind of CI reads."""


def remove(path: Path) -> None:
    """Delete a file and the directories that are empty then."""
    path.unlink()
    for directory in path.parents[:-1]:
        if not any(directory.iterdir()):
            directory.rmdir()


for kind, files in FILES.items():
    if kind != CI:
        for file in files:
            remove(Path(file))

if DATABASES == "one":
    # Its migration went to main's, by its name (cookiecutter.json); the directory stayed empty.
    Path("src/<< cookiecutter.package_name >>/migrations/timeseries").rmdir()

if BY == "Cookiecutter":  # cruft generates a project, too, to compare it with one that is there
    # Cookiecutter is elsewhere meanwhile; PWD still says where the person is.
    here = str(Path.cwd())
    there = min(here, os.path.relpath(here, os.environ.get("PWD", here)), key=len)
    print(
        f"""
<< cookiecutter.project_slug >> is ready. Next:

    cd {shlex.quote(there)}
    git init && git add --all && git commit --message "Start from cookiecutter-testdb"
    nox                            # lint, types, unit, integration and e2e tests
    nox -s dev                     # make .venv, then: . .venv/bin/activate && invoke --list
"""
    )
