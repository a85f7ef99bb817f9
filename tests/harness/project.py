"""A baked project: change it, run what is in it, look at its databases."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from harness import embedded
from harness.environment import Environment, clean_variables, locked
from harness.outcome import SECONDS, Outcome, finish, run, start, wait_for

Variables = Mapping[str, str]
Bake = Callable[..., Path]
"""The fixture `bake`."""
NewProject = Callable[..., "Project"]
"""The fixture `new_project`."""


@dataclass(frozen=True)
class Project:
    """A baked project, run from its source in the environment that all of them share."""

    path: Path
    environment: Environment
    shell: Variables = field(default_factory=dict)
    """What a person has set in the shell: which server to use, for example."""

    def __truediv__(self, relative: str) -> Path:
        """Get the path of a file in it."""
        return self.path / relative

    def write(self, relative: str, text: str) -> str:
        """Write a file; returns its relative path, as programs take it."""
        self.path.joinpath(relative).write_text(text)
        return relative

    def replace(self, relative: str, old: str, new: str) -> None:
        """Replace a text that stands in a file once."""
        text = self.path.joinpath(relative).read_text()
        assert text.count(old) == 1, f"{relative} holds {old!r} {text.count(old)} times"
        self.write(relative, text.replace(old, new))

    def with_shell(self, **variables: str) -> Self:
        """Have the same project with more variables set."""
        return type(self)(self.path, self.environment, {**self.shell, **variables})

    def copy_to(self, directory: Path) -> Self:
        """Copy it: another checkout, with an embedded server of its own."""
        copy = directory / self.path.name
        shutil.copytree(self.path, copy, ignore=shutil.ignore_patterns(".*_cache"))
        return type(self)(copy, self.environment, self.shell)

    def variables(self, env: Variables | None = None) -> dict[str, str]:
        """Make all variables of a process that runs in it."""
        path = self.environment.path
        return {
            **clean_variables(),
            "PATH": f"{path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.path / 'src'}{os.pathsep}{self.path}",
            "VIRTUAL_ENV": str(path),
            **self.shell,
            **(env or {}),
        }

    def run(
        self,
        *command: str,
        env: Variables | None = None,
        cwd: Path | None = None,
        code: int | None = 0,
    ) -> Outcome:
        """Run a program: `project.run("pytest", "-x")`. See `harness.outcome.run`."""
        __tracebackhide__ = True
        return run(*command, cwd=cwd or self.path, env=self.variables(env), code=code)

    def start(self, *command: str, env: Variables | None = None) -> subprocess.Popen[str]:
        """Start a program in a process group of its own."""
        return start(*command, cwd=self.path, env=self.variables(env))

    def finish(
        self, program: subprocess.Popen[str], *, code: int | None = 0, seconds: float = SECONDS
    ) -> Outcome:
        """Wait until a started program ends. See `harness.outcome.finish`."""
        __tracebackhide__ = True
        return finish(program, cwd=self.path, code=code, seconds=seconds)

    def wait_for(
        self, program: subprocess.Popen[str], happened: Callable[[], object], what: str
    ) -> None:
        """Wait until a started program has got somewhere. See `harness.outcome.wait_for`."""
        __tracebackhide__ = True
        wait_for(program, happened, what, cwd=self.path)

    def nox(self, *arguments: str, code: int | None = 0, env: Variables | None = None) -> Outcome:
        """Run sessions in environments of their own: `project.nox("-s", "e2e")`."""
        __tracebackhide__ = True
        variables = {**clean_variables(), **self.shell, **(env or {})}
        return run(sys.executable, "-m", "nox", *arguments, cwd=self.path, env=variables, code=code)

    def check_types(self) -> None:
        """Run mypy. Its cache, of what all projects depend on, is for one at a time."""
        __tracebackhide__ = True
        cache = self.environment.path / "mypy"
        with locked(cache.with_suffix(".lock")):
            self.run("mypy", env={"MYPY_CACHE_DIR": str(cache)})

    def postmaster(self) -> int | None:
        """Get the process id of its embedded server; None if it has ended."""
        return next(iter(embedded.postmasters(Path(self.shell["TESTDB_HOME"]))), None)

    def databases(self) -> list[dict[str, Any]]:
        """List its databases, as `db.list --json` does, but for the templates."""
        rows = json.loads(self.run("invoke", "db.list", "--json").stdout)
        return [row for row in rows if row["kind"] != "template"]
