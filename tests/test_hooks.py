"""Wrong answers end in a message that helps, before anything is made."""

import sys
from pathlib import Path

import pytest
import uv
from cookiecutter.exceptions import FailedHookException

from harness.baking import TEMPLATE, bake
from harness.environment import clean_variables
from harness.outcome import Outcome, run

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


def answer(directory: Path, *command: str | Path, **answers: str) -> Outcome:
    """Bake on the command line."""
    return run(
        *command,
        TEMPLATE,
        "--no-input",
        f"--output-dir={directory / 'made'}",
        *(f"{name}={value}" for name, value in answers.items()),
        cwd=directory,
        env={**clean_variables(), "HOME": str(directory), "TMPDIR": str(directory)},
        code=None,
    )


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_a_wrong_answer_is_refused_by_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, wrong: str
) -> None:
    answers = {"project_slug": "my-service", name: wrong}  # a slug that is empty gets nowhere
    with pytest.raises(FailedHookException):
        bake(tmp_path / "made", **answers)
    assert f"ERROR: {name} {wrong!r}" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert list((tmp_path / "made").iterdir()) == []


def test_every_wrong_answer_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"package_name": "class", "author_email": "nobody"}
    done = answer(tmp_path, sys.executable, "-m", "cookiecutter", **wrong)
    done.expect(*(f"ERROR: {name}" for name in wrong))
    assert done.code != 0
    assert list((tmp_path / "made").iterdir()) == []


def test_an_old_cookiecutter_is_told_so(tmp_path: Path) -> None:
    old = ("tool", "run", "--from", "cookiecutter==2.5.0", "--with", "setuptools<80")
    done = answer(tmp_path, uv.find_uv_bin(), *old, "cookiecutter")
    done.expect("needs cookiecutter >= 2.6")
    assert done.code != 0
