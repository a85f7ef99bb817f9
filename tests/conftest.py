"""Bake projects, run them, give them a server: what the template's tests share.

bake → environment, which runs what was baked; external_server for those that do not embed one.
"""

import fcntl
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from harness import external
from harness.environment import Environment
from harness.external import ExternalServer

TEMPLATE = Path(__file__).resolve().parent.parent

Bake = Callable[..., Path]


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a job in the background ignores it, and so its own."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def baked() -> list[Path]:
    """Remember what was baked."""
    return []


@pytest.fixture(scope="session")
def bake(baked: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Bake projects: `bake(databases="two")` answers one prompt and takes the others' defaults.

    Each gets a directory of its own, and nothing is read from or written to the user's home.
    """
    home = tmp_path_factory.mktemp("cookiecutter")
    config = home / "config.yaml"
    config.write_text(f"replay_dir: {home}\ncookiecutters_dir: {home}\n")

    def bake(**answers: str) -> Path:
        made = cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context=answers,
            output_dir=str(tmp_path_factory.mktemp("bake")),
            config_file=str(config),
        )
        baked.append(Path(made))
        return baked[-1]

    return bake


@pytest.fixture(scope="session")
def environment(
    bake: Bake, baked: list[Path], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Environment]:
    """Have one environment with all that baked projects depend on, for all xdist workers.

    At the end the embedded servers that were started go, with their data.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    environment = Environment(shared / "environment")
    with (shared / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not environment.is_complete():
            environment.build(bake())
    yield environment
    for project in baked:
        if (project / "testdb" / "__pycache__").exists():  # else nothing ran
            environment.remove_server(project)


@pytest.fixture(scope="session")
def external_server(environment: Environment) -> Iterator[ExternalServer]:
    """Have an external server: Debian's PostgreSQL, else the wheel's programs, over TCP."""
    with external.running(environment.postgresql()) as server:
        yield server
