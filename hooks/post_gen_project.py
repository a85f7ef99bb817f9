"""Remove what the answers leave out, and say what to do next."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

DATABASES = "<< cookiecutter.databases >>"
CI = "<< cookiecutter.ci >>"
OUTPUT = json.loads(r""" << cookiecutter._output_dir | default('') | jsonify >> """)
"""Where Cookiecutter makes the project; nothing under cruft, which may only want to compare it."""
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

# uv sorts packages by name, and that of the project was chosen just now.
lock = Path("uv.lock")
head, *packages = lock.read_text(encoding="utf-8").split("[[package]]\n")
blocks = sorted(f"[[package]]\n{package.strip()}\n" for package in packages)
lock.write_text(head + "\n".join(blocks), encoding="utf-8")

if DATABASES == "one":
    # Its migration went to main's, by its name (cookiecutter.json); the directory stayed empty.
    Path("src/<< cookiecutter.package_name >>/migrations/timeseries").rmdir()

if OUTPUT:
    # Cookiecutter has gone to another directory; PWD still says where the person is.
    project = str(Path(OUTPUT, "<< cookiecutter.project_slug >>"))
    there = min(project, os.path.relpath(project, os.environ.get("PWD", "/")), key=len)
    nox, beside = "nox", Path(sys.executable).with_name("nox")
    if not shutil.which(nox) and beside.exists():  # in .tools of the template
        nox = shlex.quote(str(beside))
    print(
        f"""
<< cookiecutter.project_slug >> is ready. Next:

    cd {shlex.quote(there)}
    git init --initial-branch=main && git add --all && git commit --message "Start"
    {nox}           # lint, types, unit, integration and e2e tests; `uvx nox`, or `pipx install nox`
    {nox} -s dev    # make .venv; then: . .venv/bin/activate && invoke --list
"""
    )
