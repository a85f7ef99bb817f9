"""Plant each mutant in a copy of the template: the test that it names must go red there.

`nox -s mutants` runs all of them, the long form one for each guarantee.
"""

import re
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from harness.baking import TEMPLATE, copy_template
from harness.environment import Environment, clean_variables
from harness.outcome import run
from harness.watching import kill, living
from mutants.table import MUTANTS, Mutant

MARK: Final = "MUTANT_RUN"
"""A variable that every process of a mutated test run inherits."""
PROJECT: Final = "<<cookiecutter.project_slug>>"
SECONDS: Final = 120
"""How long a test may take in a mutated project."""
EVERY: Final = [
    # The first of each guarantee is part of the long form too.
    pytest.param(guarantee, mutant, id=mutant.fault, marks=[] if number else [pytest.mark.long])
    for guarantee, mutants in MUTANTS.items()
    for number, mutant in enumerate(mutants)
]


@pytest.mark.mutant
@pytest.mark.parametrize(("guarantee", "mutant"), EVERY)
def test_it_is_killed(
    environment: Environment,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    guarantee: str,
    mutant: Mutant,
) -> None:
    copy = copy_template(tmp_path)
    history = run("git", "rev-parse", "--absolute-git-dir", cwd=TEMPLATE, env=clean_variables())
    (copy / ".git").write_text(f"gitdir: {history.stdout}")
    path = copy / PROJECT / mutant.file
    path.write_text(path.read_text().replace(mutant.old, mutant.new))
    started = time.monotonic()
    done = run(
        *(sys.executable, "-m", "pytest", f"tests/{mutant.test}", "--exitfirst"),
        *("-p", "no:cacheprovider", f"--timeout={SECONDS}", f"--environment={environment.path}"),
        cwd=copy,
        env={
            **clean_variables(),
            "COLUMNS": "250",  # or pytest cuts what the test said
            MARK: str(tmp_path),
        },
        code=None,
    )
    for pid in living(str(tmp_path), MARK):  # a mutant may keep processes from ending
        kill(pid)
    if done.code != pytest.ExitCode.TESTS_FAILED:
        done.fail(f"to go red, because {mutant.fault}: {guarantee}")
    killer, said = done.find(r"^(?:FAILED|ERROR) tests/\S+::(\w+).* - (.*)$").groups()
    if said.startswith("Failed: Timeout"):
        done.fail("to go red by an assertion, not by being slow")
    seconds = f"{time.monotonic() - started:.0f}"
    record_property("mutant", (guarantee, mutant.fault, killer, said, seconds))


def test_all_can_be_planted() -> None:
    for mutant in chain(*MUTANTS.values()):
        path = TEMPLATE / PROJECT / mutant.file
        text = path.read_text()
        assert text.count(mutant.old) == 1, f"{mutant.file} has changed: mend {mutant.fault!r}"
        if path.suffix == ".py" and "<<" not in text and "<%" not in text:
            compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
        file, function = mutant.test.split("::")
        assert f"def {function}(" in (TEMPLATE / "tests" / file).read_text(), mutant.fault


def test_every_guarantee_has_three_and_each_test_that_the_readme_names_kills_one() -> None:
    readme = (TEMPLATE / "README.md").read_text()
    rows = dict(re.findall(r"^\| (.+?) \| (`\S+::\w+`.*) \|$", readme, re.MULTILINE))
    assert list(MUTANTS) == list(rows)
    for guarantee, mutants in MUTANTS.items():
        assert len(mutants) >= 3, guarantee
        named = re.findall(r"`(\S+::\w+)`", rows[guarantee])
        assert {mutant.test for mutant in mutants} >= set(named), guarantee
