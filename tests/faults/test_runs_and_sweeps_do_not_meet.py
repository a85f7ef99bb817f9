"""Runs of two checkouts on one server, with sweeps that never stop beside them: all are green."""

import json
from functools import partial

import pytest

from faults.process import Processes, RefusedByTestdbError
from harness.external import ExternalServer
from harness.project import Project
from harness.watching import wait_until

RUNS = 8
AUTOVACUUM_IN = (
    "SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = %s"
)
ENDLESS_AUTOVACUUM = {
    "autovacuum_naptime": "1",  # seconds, at least
    "autovacuum_vacuum_cost_delay": "100",  # milliseconds, at most
    "autovacuum_vacuum_cost_limit": "1",
}


@pytest.mark.parametrize(
    "tests",
    [
        "tests/integration/test_users.py",
        pytest.param("tests/integration", marks=pytest.mark.long),
    ],
)
def test_eight_runs_beside_endless_sweeps(
    processes: Processes, project: Project, checkout: Project, tests: str
) -> None:
    """Scenario D."""
    with processes(project) as (sweeper,), processes(checkout) as (other,):
        sweeper.tell("sweep_without_end")
        other.tell("sweep_without_end")
        command = ("pytest", tests, "-q")
        runs = [(place, place.start(*command)) for place in [project, checkout] * (RUNS // 2)]
        for place, run in runs:
            place.finish(run).expect(" 0 left")
        for process in (sweeper, other):
            rounds = process.kill()
            assert len(rounds) > 1, f"a sweep stopped: {rounds}"
            gone = [verdict for line in rounds for verdict in json.loads(line)]
            # Templates that nobody uses go; of a run that lives, nothing does.
            assert {why for _, why in gone} <= {"nobody uses this template"}, gone


def test_what_a_living_run_has_is_neither_swept_nor_dropped(
    processes: Processes, project: Project, checkout: Project
) -> None:
    with (
        processes(project, 3) as (run, worker, child),
        processes(checkout) as (person,),
    ):
        alive = run.ask("start")
        names = run.ask("create", worker="gw0")
        for process in (worker, child):  # more processes of the same run
            process.ask("join", run_id=alive)
        for dying in (run, worker):
            dying.kill()
            verdicts = person.ask("sweep", force=True, kept=True, templates=True)
            assert {tuple(verdicts[name]) for name in names} == {
                (False, "a living run (or another sweep) uses it")
            }
            for wanted in (names[0], alive):
                with pytest.raises(RefusedByTestdbError, match="somebody uses"):
                    person.ask("drop", name=wanted, end_sessions=True)
        child.kill()
        wait_until(lambda: person.ask("plan")[names[0]][0], "its lease outlives the run")
        verdicts = person.ask("sweep")
        assert all(verdicts[name][0] for name in names)


def test_a_lease_that_was_lost_is_taken_anew_unless_a_sweep_came_first(
    processes: Processes, project: Project, external_server: ExternalServer
) -> None:
    with processes(project, 2) as (run, person):
        run_id = run.ask("start")
        names = run.ask("create", worker="main")
        cut = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name LIKE %s"
        )
        with external_server.connect() as administrator:
            assert not run.ask("renew_lease")
            administrator.execute(cut, [f"%{run_id}%"])
            assert run.ask("renew_lease")
            assert not person.ask("plan")[names[0]][0]
            administrator.execute(cut, [f"%{run_id}%"])
        assert person.ask("sweep")[names[0]][0]
        with pytest.raises(RefusedByTestdbError, match="lost the connection that held its lease"):
            run.ask("renew_lease")


def test_a_run_that_is_being_swept_does_not_come_alive(
    processes: Processes, project: Project, external_server: ExternalServer
) -> None:
    with processes(project, 2) as (sweeper, run):
        (name,) = sweeper.ask("leave", count=1)
        with external_server.locked(name):
            sweeper.tell("sweep")
            wait_until(external_server.has_waiting, "no sweep waits")
            with pytest.raises(RefusedByTestdbError, match="is being swept"):
                run.ask("join", run_id=name.split("_")[2])
        assert sweeper.answer()[name][0]


def test_autovacuum_keeps_no_database_from_being_dropped(
    processes: Processes, project: Project, external_server: ExternalServer
) -> None:
    with (
        processes(project) as (run,),
        external_server.connect() as administrator,
    ):
        run.ask("start")
        main, _ = run.ask("create", worker="main")
        for name, value in ENDLESS_AUTOVACUUM.items():
            administrator.execute(f"ALTER SYSTEM SET {name} = {value}")
        administrator.execute("SELECT pg_reload_conf()")
        try:
            with external_server.connect(main) as connection:
                connection.execute("CREATE TABLE dead AS SELECT generate_series(1, 100000)")
                connection.execute("DELETE FROM dead")
            is_in = partial(administrator.execute, AUTOVACUUM_IN, [main])
            wait_until(lambda: is_in().fetchall(), "autovacuum never comes", 60)
            run.ask("drop_made")
            assert main not in external_server.databases().values()
        finally:
            for name in ENDLESS_AUTOVACUUM:
                administrator.execute(f"ALTER SYSTEM RESET {name}")
            administrator.execute("SELECT pg_reload_conf()")
