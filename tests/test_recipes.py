"""The recipes of a generated project, followed to the letter; and settings beyond them."""

import re
from typing import Final

import pytest

from harness.external import HOST, ExternalServer
from harness.project import NewProject, Project

RECIPE: Final = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER: Final = "A server of your own"
KEPT: Final = "The databases of a test that failed"
SETTINGS: Final = '''
"""Settings of several parts, and one whose default is another in production."""

import pytest

from my_service.settings import read_settings

from testdb.adapter import settings


@pytest.mark.parametrize("found", [read_settings, lambda: settings({})])
def test_they_are_the_same_in_both_ways(found):
    read = found()
    assert read.allowed == ["http://x"]
    assert read.mail == {"host": "mail", "port": "25"}
    assert read.log_format == "text"
'''
FAILS: Final = '''
"""Fails."""

from my_service.users import User


def test_fails(sync_session):
    sync_session.add(User(email="ada@example.com", name="Ada"))
    sync_session.commit()
    raise AssertionError
'''


def blocks(project: Project) -> dict[str, list[tuple[str, str]]]:
    """Read what stands in the fences of each recipe, and of which kind it is."""
    recipes = RECIPE.findall((project / "RECIPES.md").read_text())
    return {title: BLOCK.findall(text) for title, text in recipes}


def follow(project: Project, kind: str, text: str) -> None:
    """Write a file, change one, or run commands."""
    if kind == "sh":
        project.run("bash", "-ec", text)
        return
    head, _, rest = text.partition("\n")
    path = head.removeprefix("# ")
    if kind == "python":
        assert not (project / path).exists()
        project.write(path, rest)
    else:
        assert kind == "diff"
        project.write(path, changed((project / path).read_text(), rest))


def changed(text: str, diff: str) -> str:
    """Make the changes of a diff, each behind the one before."""
    place = 0
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] or line for line in lines if line[0] != "+")
        new = "".join(line[1:] or line for line in lines if line[0] != "-")
        assert old in text[place:], f"there are no such lines:\n{old}"
        place = text.index(old, place)
        text = f"{text[:place]}{new}{text[place + len(old) :]}"
        place += len(new)
    return text


@pytest.mark.longest
def test_all_recipes_lead_to_a_project_that_is_green(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    project = new_project().with_shell(**external_server.variables)
    project.run("invoke", "db.create")
    recipes = blocks(project)
    ((sql_kind, sql), (_, on_own_server)) = recipes.pop(SERVER)
    ((_, debugging),) = recipes.pop(KEPT)
    for kind, text in (block for found in recipes.values() for block in found):
        follow(project, kind, text)
    project.run("ruff", "check")
    project.run("ruff", "format", "--check")
    project.check_types()
    project.run("pytest", "tests/unit")  # those of integration come with the recipe of the server
    assert {row["logical"] for row in project.databases()} == {"main", "billing"}

    test, open_it, drop = (line.partition("  ")[0] for line in debugging.splitlines())
    path = project.write("tests/integration/test_fails.py", FAILS)
    failed = project.run("bash", "-c", f"{test} {path}", code=1)
    run = failed.find(r"testdb_\w+?_([0-9a-f]{10})_")[1]
    asked = f"echo 'TABLE users' | {open_it.replace('RUN', run)}"
    project.run("bash", "-ec", asked).expect("Ada")
    project.run("bash", "-ec", drop.replace("RUN", run))
    (project / path).unlink()

    assert sql_kind == "sql"
    with external_server.connect() as connection:
        connection.execute(sql)
        try:
            here = on_own_server.replace("127.0.0.1:5432", f"{HOST}:{external_server.port}")
            project.run("bash", "-ec", f"{here}\ninvoke db.sweep --templates")
        finally:
            connection.execute("DROP ROLE tester")


def test_a_setting_of_several_parts_is_spelled_as_in_the_environment(project: Project) -> None:
    project.replace(
        "src/my_service/settings.py",
        '    log_format: Literal["text", "json"] = "text"\n',
        "    allowed: list[str]\n    mail: dict[str, str]\n"
        '    log_format: Literal["text", "json"] = "json"\n',
    )
    project.replace(
        "testdb/adapter.py",
        "SETTINGS: Final[Mapping[str, str]] = {\n",
        "SETTINGS: Final[Mapping[str, str]] = {\n"
        """    "allowed": '["http://x"]',\n    "mail__host": "mail",\n    "mail__port": "25",\n""",
    )
    project.run("pytest", project.write("tests/unit/test_written.py", SETTINGS))
