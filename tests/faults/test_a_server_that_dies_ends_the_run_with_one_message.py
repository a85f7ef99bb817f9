"""PostgreSQL is killed in mid-run: the run ends at once and says so; the next one is green."""

import os
import re
import signal

import pytest

from harness.gate import WAIT, Gate
from harness.project import NewProject

SLOW_TESTS = f"""
import pytest
from sqlalchemy import text
{WAIT}

@pytest.mark.parametrize("number", range(300))
async def test_that_waits(session, number):
    wait_at_the_gate()
    await session.execute(text("SELECT 1"))
"""


@pytest.mark.parametrize("workers", [2, pytest.param(0, marks=pytest.mark.long)])
def test_the_run_ends_at_once_and_the_next_is_green(
    new_project: NewProject, gate: Gate, workers: int
) -> None:
    project = new_project().with_shell(**gate.variables)
    slow = project.write("tests/integration/test_slow.py", SLOW_TESTS)
    run = project.start("pytest", "-n", str(workers), slow)
    every = max(workers, 1)
    project.wait_for(run, lambda: len(set(gate.arrived())) == every, "to start a test a worker")
    server = project.postmaster()
    assert server, "the run has started no server"
    os.kill(server, signal.SIGKILL)
    gate.open()
    ended = project.finish(run, code=None, seconds=60)
    if ended.code == 0:
        ended.fail("to fail, as its server died")
    ended.expect("The embedded PostgreSQL went away", "next run starts it anew")
    ended.expect_none_of("INTERNALERROR")
    # Each worker has a test that fails and one that is stopped; each may fail to tidy up.
    failures = len(re.findall(r"^(?:FAILED|ERROR) ", ended.output, re.MULTILINE))
    if failures > 4 * every or ended.output.count("Error") >= 60:
        ended.fail(f"to end at once, and to say so once; there are {failures} failures")
    project.run("pytest", "tests/integration/test_health.py").expect("2 passed")
