"""What a sweep drops, what it leaves alone, what it says of each; and a thousand leftovers."""

import re
import time
from collections.abc import Iterator

import psycopg
import pytest

from faults.process import Process, Processes, RefusedByTestdbError
from harness.external import PASSWORD, ROLE, ExternalServer
from harness.project import Project
from harness.watching import wait_until


@pytest.fixture
def person(processes: Processes, project: Project) -> Iterator[Process]:
    """A process of a person who looks at the server."""
    with processes(project) as (process,):
        yield process


def test_the_table(
    processes: Processes, project: Project, external_server: ExternalServer, person: Process
) -> None:
    (dead,) = person.ask("leave", count=1)
    with processes(project, 2) as (run, keeper):
        run.ask("start")
        living, _ = run.ask("create", worker="gw0")
        keeper.ask("start")
        kept, _ = keeper.ask("create", worker="person", kept_days=1)
        expired, _ = keeper.ask("create", worker="before", kept_days=0.0000001)
        keeper.kill()

        def swept(*flags: str) -> dict[str, str]:
            """Read the table as a person does: name, what became of it, why."""
            done = project.run("invoke", "db.sweep", *flags)
            rows = (re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()[1:])
            return {name: f"{what}: {why}" for name, what, why in filter(is_row, rows)}

        wait_until(lambda: person.ask("plan")[expired][0], "the keeper's lease outlives it")
        before = external_server.databases()
        told = swept("--dry-run")
        assert external_server.databases() == before
        assert told[dead] == "would go: its run is dead"
        in_use = "stays: a living run (or another sweep) uses it"
        assert told[living] == in_use
        assert told[kept] == "stays: it is kept"
        assert told[expired] == "would go: it was kept, and that time is over"
        # Other tests may have left templates of other migrations.
        templates = {name for name in told if "_template_" in name and told[name] == in_use}
        assert len(templates) == 2
        told = swept()
        assert told[dead] == "dropped: its run is dead"
        assert told[expired].startswith("dropped")
        assert {kept, living, *templates} <= set(external_server.databases().values())
        assert swept("--kept")[kept] == "dropped: it was kept"
    some, used = min(templates), [False, "a living run (or another sweep) uses it"]
    wait_until(
        lambda: person.ask("sweep", templates=True).get(some) != used, "the run's lease outlives it"
    )
    assert not [name for name in external_server.databases().values() if name in told]


def is_row(cells: list[str]) -> bool:
    return len(cells) == 3 and cells[0].startswith("testdb_")


def test_sessions_of_a_dead_run_are_named_and_end_by_force_alone(
    processes: Processes, project: Project, external_server: ExternalServer, person: Process
) -> None:
    with processes(project, 2) as (run, living):
        run.ask("start")
        names = run.ask("create", worker="gw0")
        living.ask("start")
        others = living.ask("create", worker="gw0")
        orphan, foreign = (
            psycopg.connect(
                host="127.0.0.1",
                port=external_server.port,
                user=ROLE,
                password=PASSWORD,
                dbname=name,
            )
            for name in (names[0], others[0])
        )
        with orphan, foreign:
            run.kill()
            wait_until(
                lambda: "living" not in person.ask("plan")[names[0]][1],
                "the lease outlives the run",
            )
            pid = orphan.info.backend_pid
            for name in names:  # the orphan may use any of them
                why = f"its dead run left sessions: backends {pid}"
                assert person.ask("sweep")[name] == [False, why]
            with pytest.raises(RefusedByTestdbError, match="is used by a session"):
                person.ask("drop", name=names[0])
            verdicts = person.ask("sweep", force=True)
            assert all(verdicts[name][0] for name in names)
            assert not any(verdicts[name][0] for name in others)
            with pytest.raises(psycopg.OperationalError):
                orphan.execute("SELECT 1")
            assert foreign.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_leftovers_of_many_runs_go(
    external_server: ExternalServer, person: Process, count: int
) -> None:
    left = set(person.ask("leave", count=count))
    assert left <= set(external_server.databases().values())
    started = time.monotonic()
    verdicts = person.ask("sweep")
    seconds = time.monotonic() - started
    assert {name for name, said in verdicts.items() if said == [True, "its run is dead"]} >= left
    assert not left & set(external_server.databases().values())
    print(f"{count} leftovers swept in {seconds:.2f} s: {count / seconds:.0f}/s")


def test_a_sweep_that_is_killed_leaves_the_rest_to_the_next(
    processes: Processes, project: Project, external_server: ExternalServer, person: Process
) -> None:
    left = set(person.ask("leave", count=40))
    with processes(project) as (sweeper,), external_server.locked(max(left)):
        sweeper.tell("sweep")
        wait_until(external_server.has_waiting, "no sweep has come to it", 60)
        sweeper.kill()
        assert max(left) in external_server.databases().values()
    wait_until(
        lambda: (
            person.ask("sweep") is not None and not left & set(external_server.databases().values())
        ),
        "the next sweeps do not finish it",
    )


def test_a_sweep_whose_connections_are_cut_drops_nothing_more(
    processes: Processes, project: Project, external_server: ExternalServer, person: Process
) -> None:
    """The locks that prove death are held by the connection that drops: both end together."""
    left = set(person.ask("leave", count=40))
    cut = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'testdb sweep'"
    )
    with (
        processes(project) as (sweeper,),
        external_server.connect() as administrator,
    ):
        with external_server.locked(max(left)):
            sweeper.tell("sweep")
            wait_until(external_server.has_waiting, "no sweep has come to it", 60)
            wait_until(
                lambda: administrator.execute(cut).fetchall() == [] and sweeper.has_answered(),
                "the sweep goes on without connections",
            )
        with pytest.raises(RefusedByTestdbError):
            sweeper.answer()
        assert max(left) in external_server.databases().values()
    assert person.ask("sweep")
    assert not left & set(external_server.databases().values())


def test_templates_beyond_the_newest_go(person: Process, external_server: ExternalServer) -> None:
    made = person.ask("leave_templates", count=5)  # the oldest first
    verdicts = person.ask("sweep")
    assert [name for name in made if verdicts[name][0]] == made[:2]
    assert {verdicts[name][1] for name in made[2:]} == {"one of the 3 newest templates"}
    person.ask("sweep", templates=True)
    assert not set(made) & set(external_server.databases().values())
