"""PostgreSQL is killed in mid-run: the run ends at once and says so; the next one is green."""

import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest

from chaos.process import Process, wait_until
from harness.environment import Environment

TESTS = 300
SAYS = "The embedded PostgreSQL went away"
SLOW_TESTS = f"""
import fcntl, os, pathlib, pytest
from sqlalchemy import text

@pytest.mark.parametrize("number", range({TESTS}))
async def test_that_waits(session, number):
    with open(os.environ["CHAOS_GATE"] + ".arrived", "a") as arrived:
        print(os.getpid(), file=arrived)
    with open(os.environ["CHAOS_GATE"]) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
    await session.execute(text("SELECT 1"))
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_the_run_ends_at_once_and_the_next_is_green(
    environment: Environment, project: Path, tmp_path: Path, workers: int
) -> None:
    copy = tmp_path / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__"))
    slow = copy / "tests" / "integration" / "test_slow.py"
    slow.write_text(SLOW_TESTS)
    gate = tmp_path / "gate"
    arrived = tmp_path / "gate.arrived"
    arrived.touch()
    command = ("pytest", "-n", str(workers), str(slow))
    with gate.open("w") as closed:
        fcntl.flock(closed, fcntl.LOCK_EX)
        run = environment.start(copy, *command, env={"CHAOS_GATE": str(gate)})
        wait_until(
            lambda: len(set(arrived.read_text().split())) == max(workers, 1) or run.poll(),
            "not every worker has started a test",
            seconds=60,
        )
        user = Process(environment, copy)
        socket = user.ask("use_embedded")
        pid_file = next(Path(socket).parent.glob("data-*/postmaster.pid"))
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        user.close()
    output, _ = run.communicate(timeout=60)
    try:
        assert run.returncode not in {0, None}
        assert SAYS in output
        assert "next run starts it anew" in output
        ran = len(arrived.read_text().split())
        assert ran <= 2 * max(workers, 1), f"{ran} tests ran on without a server\n{output}"
        # Each worker has a test that fails and one that is stopped; each may fail to tidy up.
        assert output.count("Error") < 60, output
        assert "INTERNALERROR" not in output
        slow.unlink()
        environment.run(copy, "pytest", "-n", "2", "tests/integration")
    finally:
        environment.remove_server(copy)
