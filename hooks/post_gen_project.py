"""Say what to do next. The project is complete as generated, but for one directory too many."""

from pathlib import Path

DATABASES = "<< cookiecutter.databases >>"
if DATABASES == "one":
    # Its migration went to main's, by its name (cookiecutter.json); the directory stayed empty.
    Path("src/<< cookiecutter.package_name >>/migrations/timeseries").rmdir()

OUTPUT_DIR = r"""<< cookiecutter._output_dir | default('') >>"""

if OUTPUT_DIR:  # empty when cruft generates a project to compare it with
    print(
        """
<< cookiecutter.project_slug >> is ready. Next:

    cd << cookiecutter.project_slug >>
    git init && git add --all && git commit --message "Start from cookiecutter-testdb"
    nox                            # lint, types, unit, integration and e2e tests
    nox -s dev                     # make .venv, then: . .venv/bin/activate && invoke --list
"""
    )
