"""Runs killed with kill -9 at any moment: one sweep, and nothing is left; the next is green.

The seed is printed; FAULTS_SEED repeats it.
"""

import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import pytest

from faults.process import Process, Processes
from harness.external import ExternalServer
from harness.gate import WAIT, Gate
from harness.project import NewProject, Project
from harness.watching import MARK, children, kill, living, wait_until, wait_until_gone

INTEGRATION: Final = "tests/integration"
E2E: Final = "tests/e2e"
GREEN_AFTER: Final = 5
"""After so many kills there is a run that nobody kills."""
VICTIMS: Final = ("group", "controller", "worker")
WAITING: Final = {
    INTEGRATION: f'''
"""Tests of each way of isolation that are killed when they have committed."""

import pytest
from testdb.testing.isolation import IsolationMode
{WAIT}
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]

@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("mode", MODES)
async def test_waits(client, mode, number):
    await client.post("/users", json={{"email": "ada@example.com", "name": "Ada"}})
    wait_at_the_gate()
''',
    E2E: f'''
"""A test that is killed while its service runs."""

import pytest
{WAIT}

@pytest.mark.parametrize("number", range(2))
def test_waits(http, number):
    http.get("/users").raise_for_status()
    wait_at_the_gate()
''',
}


def test_runs_killed_in_the_middle_on_the_embedded_server(
    new_project: NewProject, processes: Processes, gate: Gate
) -> None:
    project = new_project(databases="two").with_shell(**gate.variables)
    path = kill_in_the_middle(project, gate, INTEGRATION, VICTIMS)
    with processes(project) as (person,):
        check_swept(project, person)
    project.run("pytest", path)
    wait_until(lambda: not project.postmaster(), "the server outlives its users")


def test_a_run_killed_in_the_middle_with_services(
    new_project: NewProject, external_server: ExternalServer, processes: Processes, gate: Gate
) -> None:
    url = external_server.variables
    project = new_project(databases="two").with_shell(**gate.variables, **url)
    path = kill_in_the_middle(project, gate, E2E, ["group"])
    with processes(project) as (person,):
        check_swept(project, person)
    project.run("pytest", path)


def kill_in_the_middle(project: Project, gate: Gate, tests: str, victims: Sequence[str]) -> str:
    """Kill runs while they are in a test, each in another way; returns the path of that test.

    Each has one worker, to be quick; the tests of the long form below use two.
    """
    path = project.write(f"{tests}/test_waits.py", WAITING[tests])
    command = ("pytest", "-n", "1", "-q", path)
    mark = uuid.uuid4().hex
    runs = {victim: project.start(*command, env={MARK: mark}) for victim in victims}
    for run in runs.values():
        project.wait_for(
            run, lambda run=run: {*children(run.pid)} & {*gate.arrived()}, "to be in a test"
        )
    for victim, run in runs.items():
        workers = {*children(run.pid)}
        strike(run, victim, random.Random(0))
        if victim == "controller":  # its worker waits at the gate
            wait_until(lambda gone=workers: not gone & {*living(mark)}, "its worker lives on", 5)
    gate.open()
    ended = {victim: project.finish(run, code=None) for victim, run in runs.items()}
    if "worker" in ended:  # xdist makes another, and goes on
        ended["worker"].find(r"^1 failed, [1-9] passed in")
    wait_until_gone(mark)
    return path


def check_swept(project: Project, person: Process) -> None:
    """Check that the killed runs left databases, and that one sweep removes them all."""
    assert in_use(person), "no run was killed in the middle: none left a database"
    project.run("invoke", "db.sweep")
    assert in_use(person) == []


def in_use(person: Process) -> list[str]:
    """List the databases that are no cached templates."""
    return [name for name in person.ask("plan") if "_template_" not in name]


def strike(run: subprocess.Popen[str], victim: str, dice: random.Random) -> None:
    """Kill a whole run, or one process of it."""
    if victim == "group":
        os.killpg(run.pid, signal.SIGKILL)
    elif victim == "controller":
        run.kill()
    else:
        wait_until(lambda: children(run.pid) or run.poll() is not None, "there is no worker", 60)
        for worker in dice.sample(sorted(children(run.pid)), k=1) if children(run.pid) else []:
            kill(worker)


def a_hundred(test: Callable[..., None]) -> Callable[..., None]:
    """Have a test kill a hundred runs of integration, in five parts, and a dozen of e2e."""
    parts = [pytest.param(INTEGRATION, 20, id=f"20, part {part}") for part in range(1, 6)]
    parts += [pytest.param(E2E, 12, id="12 with services")]
    return pytest.mark.long(pytest.mark.parametrize(("tests", "kills"), parts)(test))


def check(project: Project, processes: Processes, tests: str, kills: int) -> None:
    """Kill so many runs at random moments, each in its turn in another way."""
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10**6)))
    print(f"FAULTS_SEED={seed}")
    dice = random.Random(seed)
    command = ("pytest", "-n", "2", "-q", tests)
    project.run(*command)  # the first one migrates
    started = time.monotonic()
    project.run(*command)
    usual, longest, left, hits = time.monotonic() - started, 0.0, 0, 0
    for number in range(kills):
        mark, victim, delay = uuid.uuid4().hex, VICTIMS[number % 3], dice.uniform(0, usual)
        run = project.start(*command, env={MARK: mark})
        with suppress(subprocess.TimeoutExpired):
            run.wait(delay)
        hits += run.poll() is None
        if run.poll() is None:
            strike(run, victim, dice)
        told = f"{victim} killed after {delay:.3f} s of {usual:.1f} s"
        run.wait(300)  # who loses a worker goes on
        ended = time.monotonic()
        wait_until_gone(mark)
        longest = max(longest, time.monotonic() - ended)
        project.finish(run, code=None)
        with processes(project) as (person,):
            left += (now := len(in_use(person)))
            print(f"{number}: {told}, {now} databases left")
            project.run("invoke", "db.sweep")
            assert in_use(person) == [], told
        if number % GREEN_AFTER == GREEN_AFTER - 1:
            project.run(*command)
    print(f"{hits} of {kills} killed in time, {left} databases swept, all gone in {longest:.2f} s")
    assert hits, "all kills came too late"


@a_hundred
def test_runs_killed_at_any_moment_on_the_embedded_server(
    embedded_project: Project, processes: Processes, tests: str, kills: int
) -> None:
    check(embedded_project, processes, tests, kills)
    wait_until(lambda: not embedded_project.postmaster(), "the server outlives its users")


@a_hundred
def test_runs_killed_at_any_moment_on_an_external_server(
    checkout: Project, processes: Processes, tests: str, kills: int
) -> None:
    check(checkout, processes, tests, kills)
