"""A builder killed in mid-build, and others that ask at once: one template, complete."""

from pathlib import Path

import pytest

from faults.process import Process, Processes
from harness.external import ExternalServer
from harness.gate import WAIT, Gate
from harness.project import Project
from harness.watching import wait_until

GATED = f'''
"""Waits until the test lets it pass."""

from alembic import op

revision = "9999"
down_revision = "0002"
{WAIT}

def upgrade() -> None:
    wait_at_the_gate()
    op.execute("CREATE TABLE last_of_all (id integer)")


def downgrade() -> None:
    raise NotImplementedError
'''


@pytest.fixture
def gated(project: Project, gate: Gate, tmp_path: Path) -> Project:
    """A project whose last migration waits at a gate."""
    copy = project.copy_to(tmp_path).with_shell(**gate.variables)
    copy.write("src/my_service/migrations/main/9999_gated.py", GATED)
    return copy


def test_the_builder_dies_and_eight_wait(
    processes: Processes, gated: Project, gate: Gate, external_server: ExternalServer
) -> None:
    with processes(gated, 10) as (first, sweeper, *eight):
        builder = first.ask("start")
        first.tell("template", logical="main")
        wait_until(gate.arrived, "no migration has run", 60)
        half = names_with(external_server, builder)
        assert len(half) == 1, f"what is being built is not named after its builder: {half}"
        assert not first.has_answered()
        first.kill()  # in the middle of a migration
        for process in eight:
            process.ask("start")
            process.tell("template", logical="main")
        wait_until(lambda: len(gate.arrived()) >= 2, "nobody builds it anew", 60)
        wait_until(lambda: waiting(external_server) == 7, "not all others wait for the builder")
        # The gate is closed: whoever has an answer now was given something half made.
        assert not any(process.has_answered() for process in eight)
        verdicts = sweeper.ask("sweep", templates=True, force=True)
        assert verdicts[half[0]] == [True, "its run is dead"]
        assert len(names_with(external_server, "building")) == 1, "a sweep took what is being built"
        gate.open()
        built = [process.answer() for process in eight]
        assert sorted(built) == [False] * 7 + [True], "not one of them built it"
        assert len(gate.arrived()) == 2, "it was migrated more than once"
        for process in eight:
            check_whole(process, external_server)
        # Somebody uses it: no sweep collects it.
        templates = [name for name in external_server.databases().values() if "_template_" in name]
        verdicts = sweeper.ask("sweep", templates=True, force=True)
        assert any(not verdicts[name][0] for name in templates)
        for process in eight:
            check_whole(process, external_server)


def names_with(server: ExternalServer, part: str) -> list[str]:
    """List the databases that have a part in their name: a run's id, or a role."""
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
    processes: Processes, project: Project, external_server: ExternalServer
) -> None:
    with processes(project, 2) as (first, second):
        first.ask("start")
        first.ask("template", logical="main")
        first.kill()
        with external_server.connect() as connection:
            # As far as a sweep gets before it is killed: no template any more, not yet dropped.
            for name in names_with(external_server, "template"):
                connection.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE false')
        second.ask("start")
        assert second.ask("template", logical="main")
        assert second.ask("create", worker="main")


def test_all_who_ask_at_once_go_on_while_the_builder_lives(
    processes: Processes, project: Project
) -> None:
    with processes(project, 9) as (sweeper, *eight):
        for process in eight:
            process.ask("start")
        sweeper.ask("sweep", templates=True)
        for process in eight:
            process.tell("template", logical="timeseries")
        for process in eight:
            wait_until(process.has_answered, "it waits for more than the builder's work", 60)
        assert sorted(process.answer() for process in eight) == [False] * 7 + [True]
