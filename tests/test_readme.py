"""The README keeps its word: its commands are those that CI runs, its tests are there."""

import json
import re

from harness.baking import TEMPLATE

README = (TEMPLATE / "README.md").read_text()


def test_ci_runs_the_second_command() -> None:
    _, run_the_tests, *_ = re.findall("```sh\n(.+)\n```", README)
    lines = (TEMPLATE / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith(f"{run_the_tests} ")]


def test_every_guarantee_names_a_test_that_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", README)
    assert named
    for file, test in named:
        assert f"def {test}(" in (TEMPLATE / "tests" / file).read_text()


def test_every_prompt_is_in_the_table() -> None:
    answers = json.loads((TEMPLATE / "cookiecutter.json").read_text())
    assert not [name for name in answers if name[0] != "_" and f"`{name}`" not in README]


def test_the_owner_is_to_be_filled_in_at_one_place_and_in_no_command() -> None:
    assert README.count("<owner>") == 1
    assert not [block for block in re.findall("```sh\n(.+?)```", README, re.DOTALL) if "<" in block]
    for path in TEMPLATE.glob("*/README*"):
        assert "<owner>" not in path.read_text()
