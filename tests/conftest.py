"""Bake projects, run them, give them a server: what the template's tests share.

bake → environment → new_project → project, on the server of this xdist worker: in memory, and over
TCP as teams have it. What is about the embedded server takes `embedded_project`.

A test whose docstring names a scenario repeats what went wrong for a team:

- Scenario A: a trading API whose end-to-end tests polluted production.
- Scenario B: routes that never saw the test's data, and loops that could not share an engine.
- Scenario C: a smoke test that failed only in CI.
- Scenario D: SQLite in place of MariaDB, and a lock that came and went.
"""

import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import baking, embedded, external, outcome
from harness.environment import Environment, locked
from harness.external import ExternalServer
from harness.gate import Gate
from harness.project import Bake, NewProject, Project
from harness.watching import wait_until_gone

pytest_plugins = ["mutants.report"]
collect_ignore = ["foreign"]  # tests of projects that are adopted


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which one test run lends its environment to another."""
    parser.addoption(
        "--environment",
        type=Path,
        help="where the environment of baked projects is, or is to be made (default: a new one)",
    )


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a job in the background ignores it, and so its own."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: else a worker may be alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture(autouse=True)
def _nothing_reaches_the_next_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Kill the programs and drop the databases that a test left."""
    yield
    outcome.kill_started()
    if "external_server" in request.fixturenames:
        request.getfixturevalue("external_server").drop_in_use()


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Bake projects: `bake(databases="two")` answers one prompt and takes the others' defaults.

    The same answers give the same directory, which nobody changes: `new_project` copies it.
    """
    baked: dict[frozenset[tuple[str, str]], Path] = {}

    def bake(**answers: str) -> Path:
        answers = {"databases": "one", **answers}
        key = frozenset(answers.items())
        if key not in baked:
            baked[key] = baking.bake(tmp_path_factory.mktemp("bake"), **answers)
        return baked[key]

    return bake


@pytest.fixture(scope="session")
def environment(
    bake: Bake,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> Environment:
    """Have one environment with all that baked projects depend on, for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    environment = Environment(pytestconfig.option.environment or shared / "environment")
    with locked(environment.path.with_suffix(".lock")):
        if not environment.is_complete():
            environment.build(bake())
    return environment


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """Have a directory, in memory if possible, for the embedded servers that projects start."""
    with embedded.homes() as homes:
        yield homes


@pytest.fixture(scope="session")
def external_server(environment: Environment, homes: Path) -> Iterator[ExternalServer]:
    """Have an external server: Debian's PostgreSQL, else the wheel's programs, over TCP.

    Each xdist worker has its own. Its tests run one after the other, so that each may look at the
    whole server.
    """
    with external.running(environment.postgresql(), homes) as server:
        yield server


@pytest.fixture(scope="session")
def new_project(
    bake: Bake, environment: Environment, homes: Path, tmp_path_factory: pytest.TempPathFactory
) -> NewProject:
    """Copy a baked project, to be changed and run: `new_project(databases="two")`.

    It uses an embedded server of its own, unless `with_shell` sets the variables of another.
    """

    def new_project(**answers: str) -> Project:
        pristine = bake(**answers)
        copy = tmp_path_factory.mktemp("project") / pristine.name
        shutil.copytree(pristine, copy)
        return Project(copy, environment, {"TESTDB_HOME": str(embedded.new_home(homes))})

    return new_project


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Have a closed gate; at the latest it opens when the test ends."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture
def mark(external_server: ExternalServer) -> Iterator[str]:
    """Draw what every process of a run inherits; when the test ends, nothing of it may be left."""
    mark = uuid.uuid4().hex
    yield mark
    outcome.kill_started()  # only where the test has failed
    wait_until_gone(mark)
    assert external_server.in_use() == []


@pytest.fixture
def embedded_project(new_project: NewProject) -> Project:
    """Have a fresh project with one logical database, on an embedded server of its own."""
    return new_project(databases="one")


@pytest.fixture
def project(embedded_project: Project, external_server: ExternalServer) -> Project:
    """Have a fresh project with one logical database, on the external server."""
    return embedded_project.with_shell(**external_server.variables)
