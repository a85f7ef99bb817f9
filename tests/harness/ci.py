"""What CI runs, read from its files, to be run here."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import Any, Final

import uv
import yaml

from harness.environment import clean_variables
from harness.outcome import Outcome, run

SERVER: Final = "TESTDB_SERVER_URL"
ANY_NUMBER: Final = "12345678901"
"""Stands for the number of a run or of a pipeline."""
_GITLAB_KEYWORDS: Final = {"default", "variables", "workflow"}


@dataclass(frozen=True)
class Script:
    """Lines that bash runs for one job."""

    job: str
    text: str
    variables: Mapping[str, str]
    """What the job sets. SERVER among them says that it has a server; whoever runs it names one."""

    def sessions(self) -> list[str]:
        """Find the nox sessions that it runs."""
        named = re.findall(r" nox (?:.* )?-s ((?:\w+ ?)+)", self.text)
        return [session for names in named for session in names.split()]

    def run(self, folder: Path, variables: Mapping[str, str]) -> Outcome:
        """Run it in a folder, by the Python of the tests; its own may not be here.

        Args:
            folder: the checkout.
            variables: instead of the script's own.
        """
        __tracebackhide__ = True
        programs = Path(mkdtemp(dir=folder.parent))  # setup-uv's, and an image's of Python
        tool, python = uv.find_uv_bin(), f"{sys.version_info.major}.{sys.version_info.minor}"
        clean = {**clean_variables(), "UV_PYTHON": python}
        make = (tool, "venv", "--clear", "--seed", "--python", sys.executable, programs)
        run(*make, cwd=folder, env=clean)
        for name in ("uv", "uvx"):
            (programs / "bin" / name).symlink_to(Path(tool).with_name(name))
        path = {"PATH": f"{programs / 'bin'}:{clean['PATH']}"}
        here = {"CI_PROJECT_DIR": str(folder)}
        own = {key: Template(value).safe_substitute(here) for key, value in self.variables.items()}
        env = {**clean, **path, **own, **variables}
        return run("bash", "-e", "-c", self.text, cwd=folder, env=env)


def github_scripts(workflow: Path) -> list[Script]:
    """Read every `run` of a workflow; of a matrix each job takes the first values."""
    document = yaml.safe_load(workflow.read_text())
    return [
        script
        for name, job in document["jobs"].items()
        for script in _steps(f"{workflow.stem}-{name}", job, document.get("env", {}))
    ]


def _steps(name: str, job: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[Script]:
    matrix = job.get("strategy", {}).get("matrix", {})
    known = {f"matrix.{key}": value[0] for key, value in matrix.items() if key != "include"}
    known |= {f"matrix.{key}": value for key, value in matrix.get("include", [{}])[0].items()}
    known[f"secrets.{SERVER}"] = "a secret"
    for step in job["steps"]:
        if "run" in step:
            variables = {**env, **job.get("env", {}), **step.get("env", {})}
            expanded = {key: _expand(value, known) for key, value in variables.items()}
            defaults = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": ANY_NUMBER}
            yield Script(name, _expand(step["run"], known).strip(), {**defaults, **expanded})


def _expand(text: str, known: Mapping[str, object]) -> str:
    """Put in what GitHub would.

    Raises:
        KeyError: an expression that nobody has thought of here.
    """
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(known[found[1]]), text)


def gitlab_scripts(file: Path) -> list[Script]:
    """Read the script of every job of a `.gitlab-ci.yml`; of a matrix each takes the first values.

    Its variables may hold `$CI_PROJECT_DIR`, which is known when it runs.
    """
    document = yaml.safe_load(file.read_text())
    jobs = {name: job for name, job in document.items() if name not in _GITLAB_KEYWORDS}
    return [
        _of_gitlab(name, {**jobs.get(job.get("extends"), {}), **job}, document)
        for name, job in jobs.items()
        if not name.startswith(".")
    ]


def _of_gitlab(name: str, job: Mapping[str, Any], document: Mapping[str, Any]) -> Script:
    matrix = job.get("parallel", {}).get("matrix", [{}])[0]
    variables = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PIPELINE_ID": ANY_NUMBER,
        **document["variables"],
        **job.get("variables", {}),
        **{key: values[0] for key, values in matrix.items()},
    }
    if any(f"${SERVER}" in rule.get("if", "") for rule in job["rules"]):
        variables[SERVER] = "of the schedule"
    lines = [*document["default"]["before_script"], *job["script"]]
    return Script(name, "\n".join(line.strip() for line in lines), variables)
