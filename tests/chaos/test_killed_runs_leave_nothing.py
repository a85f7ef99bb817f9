"""Runs killed with kill -9 at any moment: one sweep, and nothing is left; the next is green.

The seed is printed; CHAOS_SEED repeats it.
"""

import json
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from chaos.process import MARK, children, kill, living, wait_until
from harness.environment import Environment
from harness.external import ExternalServer

PYTEST: Final = ("pytest", "-n", "2", "-q")
INTEGRATION: Final = "tests/integration"
E2E: Final = "tests/e2e"
GREEN_AFTER: Final = 3
"""After so many kills there is a run that nobody kills."""
VICTIMS: Final = ("group", "controller", "worker")


def strike(run: subprocess.Popen[str], victim: str, dice: random.Random) -> None:
    """Kill a whole run, or one process of it."""
    if victim == "group":
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    elif victim == "controller":
        run.kill()
    else:
        wait_until(lambda: children(run.pid) or run.poll() is not None, "there is no worker", 60)
        for worker in dice.sample(sorted(children(run.pid)), k=1) if children(run.pid) else []:
            kill(worker)


def databases(environment: Environment, project: Path, env: Mapping[str, str]) -> list[str]:
    """Have the project list what it has on the server, but for what is cached for all runs."""
    listed = environment.run(project, "invoke", "db.list", "--json", env=env).stdout
    return [entry["name"] for entry in json.loads(listed) if entry["run"] is not None]


def check(
    environment: Environment, project: Path, env: Mapping[str, str], kills: int, *tests: str
) -> int:
    """Kill so many runs, each in its turn in another way; returns how many databases they left."""
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))
    print(f"CHAOS_SEED={seed}")
    dice = random.Random(seed)
    command = (*PYTEST, *tests)
    environment.run(project, *command, env=env)  # the first one migrates
    started = time.monotonic()
    environment.run(project, *command, env=env)
    usual, longest, left, hits = time.monotonic() - started, 0.0, 0, 0
    for number in range(kills):
        mark, victim, delay = uuid.uuid4().hex, VICTIMS[number % 3], dice.uniform(0, usual)
        run = environment.start(project, *command, env={**env, MARK: mark})
        with suppress(subprocess.TimeoutExpired):
            run.wait(delay)
        hits += run.poll() is None
        strike(run, victim, dice)
        if victim == "worker":  # xdist makes another one, and goes on
            run.communicate(timeout=300)
        ended = time.monotonic()
        wait_until(
            lambda: not living(mark),  # noqa: B023  it is called before the next one
            f"{victim} killed after {delay:.3f} s, and this lives on: {living(mark)}",
        )
        longest = max(longest, time.monotonic() - ended)
        run.communicate()
        left += (now := len(databases(environment, project, env)))
        print(
            f"{number}: {victim} killed after {delay:.3f} s of {usual:.1f} s, {now} databases left"
        )
        environment.run(project, "invoke", "db.sweep", env=env)
        assert databases(environment, project, env) == [], f"{victim} after {delay:.3f} s"
        if number % GREEN_AFTER == GREEN_AFTER - 1:
            environment.run(project, *command, env=env)
    print(f"{hits} of {kills} killed in time, {left} databases swept, all gone in {longest:.2f} s")
    return left


def stopped(environment: Environment, project: Path) -> bool:
    """Tell whether the embedded server has ended; its process hides what it inherited."""
    return "stopped" in environment.run(project, "invoke", "server.status").stdout


def test_on_the_embedded_server(environment: Environment, project: Path) -> None:
    check(environment, project, {}, len(VICTIMS), INTEGRATION)
    wait_until(lambda: stopped(environment, project), "the server outlives its users")


def test_on_an_external_server_with_services(
    environment: Environment, checkout: Path, external_server: ExternalServer
) -> None:
    check(environment, checkout, external_server.variables, len(VICTIMS), E2E)


@pytest.mark.long
def test_a_hundred_on_the_embedded_server(environment: Environment, project: Path) -> None:
    assert check(environment, project, {}, 100, INTEGRATION), "all kills came too late"
    assert check(environment, project, {}, 12, E2E), "all kills came too late"
    wait_until(lambda: stopped(environment, project), "the server outlives its users")


@pytest.mark.long
def test_a_hundred_on_an_external_server(
    environment: Environment, checkout: Path, external_server: ExternalServer
) -> None:
    env = external_server.variables
    assert check(environment, checkout, env, 100, INTEGRATION), "all kills came too late"
    assert check(environment, checkout, env, 12, E2E), "all kills came too late"
