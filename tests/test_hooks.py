"""Wrong answers end in a message that helps, before anything is made."""

import sys
from pathlib import Path

import pytest
import uv

from conftest import TEMPLATE
from harness.environment import clean_variables, run

WRONG = [
    ("project_slug", "My_Service"),
    ("project_slug", "../escape"),
    ("project_slug", "1st"),
    ("project_slug", "ends-"),
    ("project_slug", "a" * 41),
    ("package_name", "my-service"),
    ("package_name", "class"),
    ("package_name", "1st"),
    ("package_name", "Über"),
    ("package_name", "testdb"),
    ("package_name", "tests"),
    ("package_name", "sqlalchemy"),
    ("package_name", "json"),
    ("package_name", "a" * 41),
    ("project_name", " "),
    ("description", "two\nlines"),
    ("author_name", ""),
    ("author_email", "nobody"),
    ("author_email", "Ada <ada@example.com>"),
]


def answer(directory: Path, *command: str | Path, **answers: str) -> tuple[int, str]:
    """Bake on the command line; get the exit code and all output."""
    done = run(
        *command,
        TEMPLATE,
        "--no-input",
        f"--output-dir={directory / 'made'}",
        *(f"{name}={value}" for name, value in answers.items()),
        cwd=directory,
        env={**clean_variables(), "HOME": str(directory)},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_a_wrong_answer_is_refused_by_name(name: str, wrong: str, tmp_path: Path) -> None:
    answers = {"project_slug": "my-service", name: wrong}  # a slug that is empty gets nowhere
    code, output = answer(tmp_path, sys.executable, "-m", "cookiecutter", **answers)
    assert code != 0
    assert f"ERROR: {name} {wrong!r}" in output
    assert not list((tmp_path / "made").iterdir())


def test_every_wrong_answer_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"package_name": "class", "author_email": "nobody"}
    _, output = answer(tmp_path, sys.executable, "-m", "cookiecutter", **wrong)
    assert all(f"ERROR: {name}" in output for name in wrong)


def test_an_old_cookiecutter_is_told_so(tmp_path: Path) -> None:
    old = ("tool", "run", "--from", "cookiecutter==2.5.0", "--with", "setuptools<80")
    code, output = answer(tmp_path, uv.find_uv_bin(), *old, "cookiecutter")
    assert code != 0
    assert "needs cookiecutter >= 2.6" in output
