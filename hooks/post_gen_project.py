"""Say what to do next. The project is complete as generated, but for one directory too many."""

import os
import shlex
from pathlib import Path

DATABASES = "<< cookiecutter.databases >>"
if DATABASES == "one":
    # Its migration went to main's, by its name (cookiecutter.json); the directory stayed empty.
    Path("src/<< cookiecutter.package_name >>/migrations/timeseries").rmdir()

BY = "<< 'Cookiecutter' if cookiecutter._output_dir | default('') else 'cruft' >>"
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
