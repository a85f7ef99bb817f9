"""CI, the template's and the generated project's: sound, pinned, and each of its lines is green."""

import re
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest
import uv
import yaml

from harness.baking import TEMPLATE, copy_template
from harness.ci import SERVER, Script, github_scripts, gitlab_scripts
from harness.embedded import new_home
from harness.environment import clean_variables
from harness.external import ExternalServer
from harness.outcome import run
from harness.project import Bake, NewProject, Project

SERVICE: Final = TEMPLATE / "<<cookiecutter.project_slug>>"
FILES: Final = {
    "github": {
        ".github/dependabot.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/sweep.yml",
    },
    "gitlab": {".gitlab-ci.yml"},
    "none": set(),
}
"""What the project has, by the answer to `ci`."""
WORKFLOWS: Final = {
    owner: sorted(folder.glob(".github/workflows/*.yml"))
    for owner, folder in {"template": TEMPLATE, "project": SERVICE}.items()
}
GENERATED: Final = [
    *(("github", script) for path in WORKFLOWS["project"] for script in github_scripts(path)),
    *(("gitlab", script) for script in gitlab_scripts(SERVICE / ".gitlab-ci.yml")),
]
OF_THE_TEMPLATE: Final = [
    script for path in WORKFLOWS["template"] for script in github_scripts(path)
]
RUN_ELSEWHERE: Final = {
    "bash .ci/run": "whoever runs these tests runs it, and test_readme.py holds it to the README",
    "uvx nox -s long": "runs these tests",
    "uvx nox -s long -- -k oldest": "runs one of these tests",
    "uvx nox -s mutants": "runs these tests",
    "uv python install 3.11 3.12 3.13 3.14": "downloads what no package registry has",
}
"""Scripts of the template's own workflows that no test here can run, and why."""
RUN_HERE: Final = [script for script in OF_THE_TEMPLATE if script.text not in RUN_ELSEWHERE]
CI: Final = ".github/workflows/ci.yml"
FAULTS: Final = {
    "[unpinned-uses]": (CI, r"@[0-9a-f]{40} # (v[\d.]+)", r"@\1"),
    "[artipacked]": (CI, "persist-credentials: false", "fetch-depth: 1"),
    "[excessive-permissions]": (CI, "permissions:\n  contents: read\n", ""),
    "[concurrency-limits]": (CI, "concurrency:(.*\n)*?\n", ""),
    "[runner-label]": (CI, "ubuntu-latest", "ubuntu-lates"),
    "[expression]": (CI, "matrix.python", "matrix.pyton"),
    "[syntax-check]": (CI, "timeout-minutes", "timeout"),
    "[events]": (".github/workflows/sweep.yml", "17 3 ", "17 25 "),
    "'sometimes' is not one of": (".github/dependabot.yml", "weekly", "sometimes"),
}
"""By what the checks must say to it, a fault: the file, what stands there, and what instead."""


def check(folder: Path) -> str:
    """Check a copy of workflows, and return what was found."""
    programs = Path(sys.executable).parent  # of the packages in pyproject.toml's group
    workflows = sorted(folder.glob(".github/workflows/*.yml"))
    schema = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")
    checks = {
        "actionlint": (programs / "actionlint", "-no-color", *workflows),
        "zizmor": (
            *(programs / "zizmor", "--offline", "--no-config", "--no-progress", "--quiet"),
            *("--persona=pedantic", folder / ".github"),
        ),
        "workflows": (*schema, "vendor.github-workflows", *workflows),
        "dependabot": (*schema, "vendor.dependabot", folder / ".github/dependabot.yml"),
    }
    outcomes = [run(*it, cwd=folder, env=clean_variables(), code=None) for it in checks.values()]
    return "".join(outcome.output for outcome in outcomes if outcome.code)


@pytest.fixture
def workflows(bake: Bake, tmp_path: Path) -> Path:
    """Copy what a project on GitHub has of CI."""
    shutil.copytree(bake(ci="github") / ".github", tmp_path / ".github")
    return tmp_path


@pytest.mark.parametrize("ci", FILES)
def test_a_project_has_the_files_of_its_own_ci_alone(bake: Bake, ci: str) -> None:
    project = bake(ci=ci)
    having = {path for path in project.rglob("*") if ".git" in str(path) and path.is_file()}
    named = {path.relative_to(project).as_posix() for path in having} - {".gitignore"}
    assert named == FILES[ci]
    assert (project / ".github").exists() == (ci == "github")
    for file in named:  # the tests below read their lines before anything is baked
        assert (project / file).read_text() == (SERVICE / file).read_text()


def test_the_workflows_of_a_project_are_sound(workflows: Path) -> None:
    assert check(workflows) == ""


def test_the_workflows_of_the_template_are_sound() -> None:
    assert check(TEMPLATE) == ""


def test_the_pipeline_of_a_project_is_sound(bake: Bake) -> None:
    file = bake(ci="gitlab") / ".gitlab-ci.yml"
    schema = ("-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci")
    run(sys.executable, *schema, file, cwd=TEMPLATE, env=clean_variables())


def test_every_fault_is_found(workflows: Path) -> None:
    for number, (file, old, new) in enumerate(FAULTS.values()):
        path = workflows / file
        text = path.read_text()
        faulty = re.sub(old, new, text)
        assert faulty != text
        path = path if path.stem == "dependabot" else path.with_stem(f"faulty{number}")
        path.write_text(faulty)
    found = check(workflows)
    assert [fault for fault in FAULTS if fault not in found] == []


def test_every_job_ends_by_itself() -> None:
    for path in [*WORKFLOWS["template"], *WORKFLOWS["project"]]:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            assert job["timeout-minutes"], f"{name} of {path}"
    assert yaml.safe_load((SERVICE / ".gitlab-ci.yml").read_text())["default"]["timeout"]


def test_an_action_has_one_version_everywhere() -> None:
    texts = "".join(path.read_text() for paths in WORKFLOWS.values() for path in paths)
    uses = re.findall("uses: (.*)", texts)
    named = [re.fullmatch(r"(\S+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses]
    assert len(set(uses)) == len({action[1] for action in named if action})
    assert all(named)


def test_every_session_that_is_named_exists(bake: Bake) -> None:
    existing: set[str] = set()
    # The template's workflow for pre-releases runs sessions of the project.
    for folder, scripts in ((bake(), [it for _, it in GENERATED]), (TEMPLATE, OF_THE_TEMPLATE)):
        nox = (sys.executable, "-m", "nox", "--list")
        # Other tests look into what is baked.
        env = {**clean_variables(), "PYTHONDONTWRITEBYTECODE": "1"}
        menu = run(*nox, cwd=folder, env=env)
        existing |= set(re.findall(r"^[*-] (\w+)", menu.stdout, re.MULTILINE))
        named = {session for script in scripts for session in script.sessions()}
        assert named <= existing
        assert len(named) >= 4


def test_every_line_is_run_here_or_elsewhere() -> None:
    texts = {script.text for script in OF_THE_TEMPLATE}
    assert texts >= RUN_ELSEWHERE.keys(), "a line that is no longer there"
    assert len(RUN_HERE) + len(RUN_ELSEWHERE) == len(texts)
    runs = 0
    for path in (*WORKFLOWS["template"], *WORKFLOWS["project"]):
        runs += len(re.findall(r"^ +(?:- )?run:", path.read_text(), re.MULTILINE))
    github = [script for ci, script in GENERATED if ci == "github"]
    assert len(github) + len(OF_THE_TEMPLATE) == runs


@pytest.mark.long
@pytest.mark.parametrize(
    ("ci", "script"),
    [pytest.param(ci, script, id=f"{ci}-{script.job}") for ci, script in GENERATED],
)
def test_what_ci_runs_in_a_project_is_green(
    new_project: NewProject, external_server: ExternalServer, ci: str, script: Script
) -> None:
    project = new_project(ci=ci)
    run(uv.find_uv_bin(), "lock", cwd=project.path, env=clean_variables())  # its owner commits it
    server = external_server.variables if SERVER in script.variables else project.shell
    done = script.run(project.path, server)
    done.expect_times(0, r"\d+ skipped")
    for session in script.sessions():
        done.expect(f"Session {session} was successful")


@pytest.mark.long
@pytest.mark.parametrize("script", RUN_HERE, ids=lambda script: script.job)
def test_what_ci_runs_of_the_template_is_green(script: Script, homes: Path, tmp_path: Path) -> None:
    there = {
        "RUNNER_TEMP": str(tmp_path),
        "TESTDB_HOME": str(new_home(homes)),
        "UV_PRERELEASE": "if-necessary-or-explicit",  # the default: the line shall work, at least
    }
    done = script.run(copy_template(tmp_path), there)
    for session in script.sessions():
        done.expect(f"Session {session} was successful")


def test_groups_share_all_tests_whatever_they_are_called(embedded_project: Project) -> None:
    same = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(8))
    modules = [embedded_project.write(f"tests/unit/test_{name}.py", same) for name in ("a", "b")]
    shares = []
    for group in ("1", "2"):
        split = ("-n", "2", "--splits", "2", "--group", group)
        done = embedded_project.run("pytest", *modules, "-rp", *split)
        shares += re.findall("^PASSED (.+)$", done.stdout, re.MULTILINE)
    assert sorted(shares) == [f"{path}::test_{number}" for path in modules for number in range(8)]
