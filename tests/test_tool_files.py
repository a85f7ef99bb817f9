"""Files for editors, for git and for a person's own settings: true, and of use as generated."""

import json
import tomllib
from typing import Final

import pytest
from editorconfig import get_properties

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.parameters import one_and_two
from harness.project import Bake, NewProject, Project

UNTIDY: Final = {
    "src/my_service/untidy.py": '"""Untidy."""\nimport os\nx  =  1\n',
    "notes.md": "a line  \n\n\n",
    "key": "-----BEGIN RSA PRIVATE KEY-----\n",
}
COMPARES: Final = """
import pathlib, re
from dotenv import dotenv_values
from my_service.databases import LOGICAL_DATABASES, check_urls
from my_service.settings import ENV_PREFIX, Settings

example = pathlib.Path(".env.example").read_text()
every = pathlib.Path(".env")
every.write_text(re.sub("^# ([A-Z_]+=)", r"\\1", example, flags=re.MULTILINE))
names = set(dotenv_values(every)) - {"POSTGRES_PASSWORD"}
settings = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
databases = f"{ENV_PREFIX}DATABASE_URLS"
settings -= {databases}
settings |= {f"{databases}__{name}".upper() for name in LOGICAL_DATABASES}
assert names == settings, names ^ settings
must, all_of_them = Settings(_env_file=".env.example"), Settings(_env_file=".env")
check_urls(must)
assert must == all_of_them == Settings(database_urls=must.database_urls), all_of_them
"""


def pre_commit(project: Project, code: int) -> Outcome:
    """Run all hooks on all files that git knows."""
    home = {"PRE_COMMIT_HOME": str(project.path.parent / "pre-commit")}
    return project.run("pre-commit", "run", "--all-files", env=home, code=code)


@one_and_two
def test_what_is_generated_passes_its_hooks_and_what_is_untidy_is_mended(
    new_project: NewProject, databases: str
) -> None:
    project = new_project(databases=databases)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    (project / ".venv").symlink_to(project.environment.path)
    pre_commit(project, 0).expect_times(6, r"\.Passed$")
    for path, text in UNTIDY.items():
        project.write(path, text)
    project.run("git", "add", *UNTIDY)
    done = pre_commit(project, 1)
    done.expect_times(5, r"\.Failed$")
    done.expect("Private key found: key")
    assert (project / "notes.md").read_text() == "a line\n"
    assert (project / "src/my_service/untidy.py").read_text() == '"""Untidy."""\n\nx = 1\n'


@one_and_two
def test_editors_are_asked_for_what_the_files_are(bake: Bake, databases: str) -> None:
    project = bake(databases=databases)
    longest = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    for path in (path for path in project.rglob("*") if path.is_file()):
        asked, text = get_properties(str(path)), path.read_bytes().decode(encoding="utf-8")
        assert (asked["charset"], asked["end_of_line"]) == ("utf-8", "lf")
        assert "\r" not in text
        assert (asked["insert_final_newline"], text[-1:]) in (("true", "\n"), ("true", "")), path
        assert asked["trim_trailing_whitespace"] == "true"
        lines = text.splitlines()
        assert not [line for line in lines if line != line.rstrip()], path
        assert not [line for line in lines if line.startswith("\t")], path
        if path.suffix == ".py":
            assert (asked["indent_size"], asked["max_line_length"]) == ("4", str(longest))


@one_and_two
def test_env_example_names_every_setting_with_its_default(
    new_project: NewProject, databases: str
) -> None:
    project = new_project(databases=databases)
    project.run("python", "-c", COMPARES)
    project.run("git", "init", "--quiet")
    project.run("git", "check-ignore", "--quiet", ".env")
    project.run("git", "check-ignore", "--quiet", ".env.example", code=1)


@pytest.mark.parametrize("dotenv", ["lies there", "is loaded by an editor"])
def test_dotenv_leads_no_test_elsewhere(
    project: Project, external_server: ExternalServer, dotenv: str
) -> None:
    real = f"postgresql://nobody@127.0.0.1:{external_server.port}/real"
    variables = {
        "MY_SERVICE_DATABASE_URLS__MAIN": real,
        "MY_SERVICE_LISTEN_PORT": "no port at all",
        "PGDATABASE": "real",
    }
    project.write(".env", "".join(f"{name}='{value}'\n" for name, value in variables.items()))
    tests = ("tests/unit/test_settings.py", "tests/integration/test_users.py")
    done = project.run("pytest", *tests, env=variables if "loaded" in dotenv else {})
    done.expect(" passed").expect_none_of(" failed", " error")


def test_vs_code_is_told_of_pytest_and_dotvenv(bake: Bake) -> None:
    folder = bake() / ".vscode"
    settings, extensions = (
        json.loads((folder / name).read_text()) for name in ("settings.json", "extensions.json")
    )
    assert settings["python.testing.pytestEnabled"] is True
    (interpreter,) = [v for v in settings.values() if str(v).endswith("/.venv/bin/python")]
    assert interpreter.startswith("${workspaceFolder}/")
    assert settings["[python]"]["editor.defaultFormatter"] in extensions["recommendations"]
