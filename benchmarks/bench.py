"""Baked projects, the programs that are measured in them, and the servers that these use."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uv

import schema

HERE: Final = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests"))

from harness.baking import bake  # noqa: E402  the template's tests have what bakes it

MEMORY: Final = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
TABLES: Final = 30
FOREIGN: Final = ("PG", "PYTEST", "PYTHON", "TESTDB")
"""Beginnings of variables that would change what is measured."""


@dataclass(frozen=True)
class Suite:
    """Tests of one kind: where they are, and with which plugins they run."""

    path: str
    plugins: tuple[str, ...]


DJANGO: Final = Suite("test_django.py", ("pytest_django.plugin",))
POSTGRESQL: Final = Suite("test_postgresql.py", ("pytest_postgresql.plugin",))
OURS: Final = Suite(
    "tests/integration/test_ours.py",
    ("pytest_asyncio.plugin", "pytest_randomly", "pytest_timeout", "xdist"),
)


@dataclass(frozen=True)
class Bench:
    """A baked project with enough tables and copies of it, in a directory that goes at the end."""

    place: Path
    project: Path
    tests: int
    repeats: int

    @property
    def cases(self) -> Path:
        """A copy of the cases, where no settings of this repository reach them."""
        return self.place / "cases"

    @property
    def few(self) -> int:
        """How many processes for what takes long by itself."""
        return (self.repeats + 1) // 2

    def part(self, divisor: float) -> int:
        """Divide the number of tests, for what takes long by itself; a few must remain."""
        return max(5, int(self.tests / divisor))

    def copy(self, name: str) -> Path:
        """Copy the project as it is now."""
        return Path(shutil.copytree(self.project, self.place / name))

    def run(
        self,
        *arguments: str,
        project: Path | None = None,
        cwd: Path | None = None,
        **variables: object,
    ) -> str:
        """Run Python in a project; returns its output.

        Args:
            arguments: as one would write them after `python`.
            project: the copy that is used; the original by default.
            cwd: where to run, if not in the project.
            variables: of its environment.

        Raises:
            SystemExit: it failed.
        """
        project = project or self.project
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or project,
            env=self._variables(project, **variables),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def pytest(
        self, suite: Suite, *arguments: str, project: Path | None = None, **variables: object
    ) -> str:
        """Run pytest with the plugins of one suite, and none of the others'; returns its output."""
        plugins = [word for plugin in suite.plugins for word in ("-p", plugin)]
        where = None if suite is OURS else self.cases
        variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": 1, **variables}
        return self.run(
            "-m", "pytest", *plugins, *arguments, project=project, cwd=where, **variables
        )

    def time_tests(
        self,
        test: str,
        *options: str,
        suite: Suite = OURS,
        project: Path | None = None,
        **variables: object,
    ) -> list[float]:
        """Repeat a test in one process; returns how long each took, setup to teardown, in s."""
        words = ("-q", "-p", "stopwatch", f"{suite.path}::{test}", *options)
        seconds: list[float] = last_line(self.pytest(suite, *words, project=project, **variables))
        return seconds

    @contextmanager
    def serving(self, project: Path | None = None) -> Iterator[Path]:
        """Keep a project's embedded server up; yields the directory of its socket."""
        project = project or self.project
        with subprocess.Popen(
            [sys.executable, "-m", "serve"],
            cwd=project,
            env=self._variables(project),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            yield Path(server.stdout.readline().strip())

    def _variables(self, project: Path, **variables: object) -> dict[str, str]:
        kept = {key: text for key, text in os.environ.items() if not key.startswith(FOREIGN)}
        wanted = {
            "TESTDB_HOME": self.place / "home",
            "BENCHMARK_TABLES": TABLES,
            "BENCHMARK_TESTS": self.tests,
            **variables,
        }
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(map(str, (project / "src", project, self.cases))),
            **{key: str(value) for key, value in wanted.items()},
        }


@contextmanager
def prepared(tests: int, repeats: int) -> Iterator[Bench]:
    """Bake a project with enough tables, and install what it needs beside the peers."""
    base = MEMORY if MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="testdb-benchmarks-", dir=base) as made:
        place = Path(made)
        place.chmod(0o711)  # root's server runs as nobody, who must pass through
        bench = Bench(place, bake(place), tests, repeats)
        install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
        needs = ["-r", "pyproject.toml", "--group", "dev"]
        subprocess.run([*install, *needs], cwd=bench.project, check=True)
        shutil.copytree(HERE / "cases", bench.cases)
        shutil.copy(bench.cases / "test_ours.py", bench.project / OURS.path)
        shutil.copy(bench.cases / "test_unit.py", bench.project / "tests/unit")
        schema.add_tables(bench.project, last_line(bench.run("-m", "tables")), TABLES)
        yield bench


def last_line(output: str) -> Any:  # noqa: ANN401  whatever it is
    """Read the last line of an output as JSON."""
    return json.loads(output.splitlines()[-1])
