"""A builder killed in mid-build, and eight that ask at once: one template, complete, seen whole."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.process import Process, processes, wait_until
from harness.environment import Environment
from harness.external import ExternalServer

GATED = '''
"""Waits until the test lets it pass."""

import fcntl
import os

from alembic import op

revision = "9999"
down_revision = {head!r}


def upgrade() -> None:
    with open(os.environ["CHAOS_GATE"] + ".arrived", "a") as arrived:
        print(os.getpid(), file=arrived)
    with open(os.environ["CHAOS_GATE"]) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
    op.execute("CREATE TABLE last_of_all (id integer)")
'''


@pytest.fixture
def gated(project: Path, environment: Environment, tmp_path: Path) -> Path:
    """A project whose last migration waits at a gate."""
    copy = tmp_path / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__"))
    head = environment.run(
        copy, "python", "-c", HEAD_OF_MAIN, env={"TESTDB_SERVER_URL": ""}
    ).stdout.strip()
    migrations = next(copy.glob("src/*/migrations/main"))
    (migrations / "9999_gated.py").write_text(GATED.format(head=head))
    return copy


HEAD_OF_MAIN = """
from alembic.script import ScriptDirectory
from my_service.migrations import alembic_config
print(ScriptDirectory.from_config(alembic_config("main")).get_current_head())
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Close the gate; the test opens it."""
    (tmp_path / "gate.arrived").touch()
    with (tmp_path / "gate").open("w") as closed:
        fcntl.flock(closed, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(closed, fcntl.LOCK_UN)


def test_the_builder_dies_and_eight_wait(
    environment: Environment,
    gated: Path,
    gate: Callable[[], None],
    tmp_path: Path,
    external_server: ExternalServer,
) -> None:
    env = {**external_server.variables, "CHAOS_GATE": str(tmp_path / "gate")}

    def arrived() -> list[str]:
        return (tmp_path / "gate.arrived").read_text().split()

    with processes(environment, gated, 10, env) as (first, sweeper, *eight):
        builder = first.ask("start")
        first.tell("template", logical="main")
        wait_until(arrived, "no migration has run", 60)
        (half,) = of_run(external_server, builder)
        assert not first.has_answered()
        first.kill()  # in the middle of a migration
        for process in eight:
            process.ask("start")
            process.tell("template", logical="main")
        wait_until(lambda: len(arrived()) == 2, "nobody builds it anew", 60)
        wait_until(lambda: waiting(external_server) == 7, "not all others wait for the builder")
        # The gate is closed: whoever has an answer now was given something half made.
        assert not any(process.has_answered() for process in eight)
        verdicts = sweeper.ask("sweep", templates=True, force=True)
        assert verdicts[half] == [True, "its run is dead"]
        assert len(of_run(external_server, "building")) == 1, "a sweep took what is being built"
        gate()
        built = [process.answer() for process in eight]
        assert sorted(built) == [False] * 7 + [True]
        assert len(arrived()) == 2, "it was migrated more than once"
        for process in eight:
            check_whole(process, external_server)
        # Somebody uses it: no sweep collects it.
        templates = [name for name in external_server.databases().values() if "_template_" in name]
        verdicts = sweeper.ask("sweep", templates=True, force=True)
        assert any(not verdicts[name][0] for name in templates)
        for process in eight:
            check_whole(process, external_server)


def of_run(server: ExternalServer, part: str) -> list[str]:
    return [name for name in server.databases().values() if f"_{part}_" in name]


def waiting(server: ExternalServer) -> int:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with server.connect() as connection:
        return connection.execute(query).fetchall()[0][0]


def check_whole(process: Process, server: ExternalServer) -> None:
    """Check that a clone has what the last migration made."""
    main, _ = process.ask("create", worker="main")
    with server.connect(main) as connection:
        assert connection.execute("SELECT count(*) FROM last_of_all").fetchall() == [(0,)]
    process.ask("drop_made")


def test_what_a_killed_sweep_left_of_a_template_is_built_anew(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    with processes(environment, project, 2, external_server.variables) as (first, second):
        first.ask("start")
        first.ask("template", logical="main")
        first.kill()
        with external_server.connect() as connection:
            # As far as a sweep gets before it is killed: no template any more, not yet dropped.
            for name in of_run(external_server, "template"):
                connection.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE false')
        second.ask("start")
        assert second.ask("template", logical="main")
        assert second.ask("create", worker="main")


def test_all_who_ask_at_once_go_on_while_the_builder_lives(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    with processes(environment, project, 9, external_server.variables) as (sweeper, *eight):
        for process in eight:
            process.ask("start")
        sweeper.ask("sweep", templates=True)
        for process in eight:
            process.tell("template", logical="timeseries")
        for process in eight:
            wait_until(process.has_answered, "it waits for more than the builder's work", 60)
        assert sorted(process.answer() for process in eight) == [False] * 7 + [True]
