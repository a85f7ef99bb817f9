"""Ctrl-C's relatives come in the middle of CREATE DATABASE: it is undone, and nothing is left.

CREATE DATABASE is made to wait for real: somebody holds a lock on the template.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.project import NewProject, Project
from harness.suite import audit, write
from harness.watching import MARK

BUSY: Final = "another command is already in progress"
ENDED_BY_SIGTERM: Final = 143
MANY_LINES: Final = 40
"""More than a person needs to see of a signal: 45 lines were seen."""
PROGRAMS: Final = (
    ("invoke", "service.run"),
    ("invoke", "db.create"),
    ("python", "examples/run_all.py", "users"),
)
BY_DEFAULT: Final = {
    ("service.run", signal.SIGHUP),
    ("db.create", signal.SIGTERM),
    ("examples/run_all.py", signal.SIGTERM),
}

TIMES_OUT = """
import pytest

from psycopg import sql


def test_holds_a_lock_on_the_template({fixtures}):
    global holder
    holder = run.new_lease()
    template = sql.Identifier(str(run.template("main").name))
    holder.connection.execute("BEGIN")
    holder.connection.execute(sql.SQL("COMMENT ON DATABASE {{}} IS NULL").format(template))


@pytest.mark.isolation("{mode}")
@pytest.mark.timeout(1)
def test_waits_in_vain(databases):
    raise AssertionError("the database was made")


def test_lets_go():
    holder.connection.execute("ROLLBACK")
    holder.close()


@pytest.mark.isolation("{mode}")
def test_good(sync_session):
    pass
"""


@pytest.fixture(scope="module")
def warm(new_project: NewProject, external_server: ExternalServer) -> Project:
    """Bake a project with two logical databases, whose templates are there."""
    project = new_project(databases="two").with_shell(**external_server.variables)
    made = project.run("invoke", "db.create")
    project.run("invoke", "db.drop", made.find(r"invoke db.drop (\w+)")[1])
    return project


@contextmanager
def creates_wait(server: ExternalServer, logical: str) -> Iterator[None]:
    """Have every CREATE DATABASE of one logical database wait until the context ends."""
    with ExitStack() as stack:
        for name in server.databases().values():
            if f"_template_{logical}_" in name:  # other tests may have left some
                stack.enter_context(server.locked(name))
        yield


@pytest.fixture
def start(
    warm: Project, external_server: ExternalServer
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start programs: each has made one database, and waits in CREATE DATABASE for the other."""
    with creates_wait(external_server, "timeseries"):

        def start(*command: str) -> subprocess.Popen[str]:
            program = warm.start(*command)
            warm.wait_for(program, external_server.has_waiting, "to wait in CREATE DATABASE")
            assert len(external_server.in_use()) == 1
            return program

        yield start


def expect_few_words(done: Outcome) -> None:
    """Fail if it says what no person understands, or more than a person reads."""
    done.expect_none_of(BUSY, "INTERNALERROR")
    lines = len(done.output.splitlines())
    if lines > MANY_LINES:
        done.fail(f"to say it in {MANY_LINES} lines, not {lines}")


@pytest.mark.parametrize(
    ("command", "number"),
    [
        pytest.param(
            command,
            number,
            id=f"{command[1]}-{number.name}",
            marks=() if (command[1], number) in BY_DEFAULT else pytest.mark.long,
        )
        for command, number in product(PROGRAMS, (signal.SIGTERM, signal.SIGHUP))
    ],
)
def test_a_signal_in_the_middle_of_create(
    start: Callable[..., subprocess.Popen[str]],
    warm: Project,
    external_server: ExternalServer,
    command: tuple[str, ...],
    number: signal.Signals,
) -> None:
    program = start(*command)
    program.send_signal(number)
    done = warm.finish(program, code=ENDED_BY_SIGTERM, seconds=30)
    expect_few_words(done)
    done.expect_none_of("Traceback")
    assert external_server.in_use() == []


def test_an_example_that_is_stopped_in_the_middle_of_create(
    start: Callable[..., subprocess.Popen[str]], warm: Project, external_server: ExternalServer
) -> None:
    program = start("python", "examples/run_all.py", "users", "--timeout", "3")
    done = warm.finish(program, code=1, seconds=30)
    done.expect("hung: it was stopped after 3 s").expect_none_of("behind")
    expect_few_words(done)
    assert external_server.in_use() == []


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)]
)
def test_a_signal_to_a_service_by_hand(
    warm: Project, external_server: ExternalServer, mark: str, number: signal.Signals
) -> None:
    running = warm.start("invoke", "service.run", env={MARK: mark})
    assert running.stdout
    assert "The service answers at" in running.stdout.readline()
    assert len(external_server.in_use()) == 2
    running.send_signal(number)
    done = warm.finish(running, code=ENDED_BY_SIGTERM, seconds=30)
    expect_few_words(done)
    done.expect_none_of("Traceback")
    assert external_server.in_use() == []


@pytest.mark.parametrize(
    ("fixtures", "mode", "result"),
    [
        # The databases of the worker are made once: the test that is good has none either.
        pytest.param("run", "reset", "2 passed, 2 errors", id="databases of the worker"),
        pytest.param("run, worker_databases", "clone", "3 passed, 1 error", id="clone"),
    ],
)
def test_a_timeout_in_the_middle_of_create(
    new_project: NewProject, external_server: ExternalServer, fixtures: str, mode: str, result: str
) -> None:
    project = new_project().with_shell(**external_server.variables)
    path = write(project, TIMES_OUT.format(fixtures=fixtures, mode=mode))
    done = project.run("pytest", path, "-p", "no:randomly", code=1)
    done.expect(result, "Timeout (>1.0s)").expect_none_of(BUSY, "INTERNALERROR")
    counts = audit(done)
    assert counts["created"] == counts["dropped"]
    assert counts["kept"] == counts["left"] == 0
    assert external_server.in_use() == []
