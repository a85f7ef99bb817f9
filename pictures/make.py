"""Draw the pictures of the README: what a new project prints, and what it has on its server.

nox -s pictures [-- --into DIRECTORY] [--environment DIRECTORY]
"""

import argparse
import json
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import diagram  # noqa: E402  from here on the harness of the tests is found
from harness import embedded, outcome  # noqa: E402
from harness.baking import bake  # noqa: E402
from harness.environment import Environment  # noqa: E402
from harness.gate import WAIT, Gate  # noqa: E402
from harness.project import Project  # noqa: E402
from harness.watching import MARK, wait_until_gone  # noqa: E402
from terminal import Command, draw, run  # noqa: E402

PLACE: Final = Path("/tmp/testdb")  # noqa: S108  what is printed is the same everywhere, and short
HOLD: Final = f'''
"""Hold every worker after its first test. Lists begin with the oldest: here always gw0's."""

import os, time
import pytest
{WAIT}

@pytest.fixture(autouse=True, scope="session")
def gw0_comes_first(worker):
    while worker != "gw0" and not os.path.getsize(os.environ["FAULTS_GATE"] + ".arrived"):
        time.sleep(0.02)

@pytest.fixture(autouse=True)
def held(databases):
    yield
    wait_at_the_gate()
'''
SIGNUP: Final = '''\
"""Signing up."""

from sqlalchemy import select

from shop.users import User


async def test_a_name_begins_with_a_capital(client, session):
    await client.post("/users", json={"email": "ada@example.com", "name": "ada"})
    assert await session.scalar(select(User.name)) == "Ada"
'''
OF_EACH_KIND: Final = {
    "tests/integration/test_held.py": f"""
import pytest
{WAIT}

@pytest.mark.parametrize("number", range(2))
def test_held(databases, number):
    wait_at_the_gate()
""",
    "tests/e2e/test_held.py": f"""
{WAIT}

def test_held(http):
    wait_at_the_gate()
""",
    "examples/example_held.py": f"""
from testdb.processes.examples import service_client
{WAIT}

with service_client(__file__):
    wait_at_the_gate()
""",
}
"""A test or example of each kind, which holds its databases."""


def workers(project: Project) -> str:
    """Look at the databases of two workers in the middle of their run."""
    with _held(project) as held:
        listed = run(project, "invoke db.list")
    ran = held.show("test session starts", "^testdb: ")
    lines = [*ran, *listed.show(aside="in another terminal, in the middle of it")]
    return draw("workers", "Two workers of one run, each with a database of its own", lines)


def sweep(project: Project) -> str:
    """Kill a run in its middle, and sweep what it has left."""
    with _held(project) as held:
        held.kill()
    left = run(project, "invoke db.list")
    swept = run(project, "invoke db.sweep --templates")
    empty = run(project, "invoke db.list")
    killed = held.show("^testdb: run", "Killed", aside="kill -9 in the middle")
    lines = [*killed, *left.show(), *swept.show(), *empty.show("^There are no disposable")]
    return draw("sweep", "Killed with kill -9, and swept", lines)


def kept(project: Project) -> str:
    """Keep the database of a test that fails, and look into it."""
    test = "tests/integration/test_signup.py"
    with _written(project, {test: SIGNUP}):
        failed = run(project, f"pytest --keep-failed-db {test}")
    report = failed.show("^    ", "^[>E]", "^testdb: .*(created|kept)", "failed.* in ", fold=True)
    name = next(row["name"] for row in project.databases() if row["kept"])
    with Command(project, f"invoke db.shell --on {name}") as shell:
        shell.type("=# ", "SELECT email, name FROM users;")
        shell.type("=# ", r"\q")
        shell.ended()
    project.run("invoke", "db.drop", name)
    lines = [*report, *shell.show()]
    return draw("kept", "A test has failed: its database is kept as the test left it", lines)


def how(project: Project) -> str:
    """Draw how databases come to be, with the names that they have in a run."""
    tests = [path for path in OF_EACH_KIND if path.startswith("tests/")]
    examples = "tests/e2e/test_examples.py -k held"
    with _written(project, OF_EACH_KIND):
        line = f"pytest -p no:randomly -n 4 {' '.join(tests)} {examples}"
        with _gated(project, line, arrivals=4):
            rows = json.loads(project.run("invoke", "db.list", "--json").stdout)
    migrations = sorted(path.name for path in project.path.glob("src/*/migrations/main/0*.py"))
    return diagram.draw(migrations, rows)


PICTURES: Final = (workers, sweep, kept, how)


def main() -> None:
    """Draw all pictures, or none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "docs", help="where the pictures go")
    parser.add_argument("--environment", type=Path, help="where that of baked projects is kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # all is undone then
    with _new_project(options.environment) as project:
        drawn = {picture.__name__: picture(project) for picture in PICTURES}
    options.into.mkdir(exist_ok=True)
    for name, svg in drawn.items():
        path = options.into / f"{name}.svg"
        path.write_text(svg)
        print(f"{path.name}: {len(svg) / 1000:.0f} kB")


@contextmanager
def _new_project(environment: Path | None) -> Iterator[Project]:
    """Have a new project, and an embedded server of its own, for as long as the context lasts."""
    try:
        PLACE.mkdir(embedded.REACHABLE)
    except FileExistsError:
        sys.exit(f"{PLACE} exists: pictures are being drawn already, or were killed. Remove it.")
    server, mark = PLACE / "server", uuid.uuid4().hex
    try:
        shop = bake(PLACE, project_name="Shop")
        shared = Environment(environment or PLACE / "environment")
        if not shared.is_complete():
            shared.build(shop)
        shell = {"HOME": str(PLACE), "TESTDB_HOME": str(server), MARK: mark}
        yield Project(shop, shared, shell)
    finally:
        outcome.kill_started()
        embedded.stop(server)
        wait_until_gone(mark)
        shutil.rmtree(PLACE)


@contextmanager
def _held(project: Project) -> Iterator[Command]:
    """Have a run of two workers in its middle; afterwards it goes on to its end."""
    with (
        _written(project, {"tests/integration/conftest.py": HOLD}),
        _gated(project, "pytest -n 2 tests/integration", arrivals=2) as command,
    ):
        yield command


@contextmanager
def _gated(project: Project, line: str, arrivals: int) -> Iterator[Command]:
    """Have a command that so many of its processes hold; afterwards it goes on to its end."""
    with TemporaryDirectory() as directory:
        gate = Gate(Path(directory))
        with Command(project, line, **gate.variables) as command:
            command.wait_until(lambda: len(gate.arrived()) == arrivals)
            yield command
            gate.open()
            command.ended()


@contextmanager
def _written(project: Project, files: dict[str, str]) -> Iterator[None]:
    """Have more files in a project."""
    for path, text in files.items():
        project.write(path, text)
    yield
    for path in files:
        (project / path).unlink()


if __name__ == "__main__":
    main()
