"""Examples and the end-to-end tests that run them: what goes wrong shows, what remains goes.

The project has two examples of its own, to be quick, and those that a test drops in.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from harness.examples import BAD, WAITS, drop_in, make_quick
from harness.external import ExternalServer
from harness.gate import Gate
from harness.outcome import Outcome
from harness.parameters import long, no_workers_by_default
from harness.project import NewProject, Project
from harness.watching import MARK, kill, living, wait_until_gone

JOURNEY: Final = "examples/example_auth_journey.py"
RUN_ALL: Final = ("python", "examples/run_all.py")
E2E: Final = ("pytest", "tests/e2e")
PLAIN: Final = {
    "well": "print('all is well')",
    "raises": "raise ValueError('no luck')",
    "sleeps": "import threading; threading.Event().wait()",
    "leaves_one": "from testdb.identity.disposable import Kind\nfrom testdb.runs.run import start\n"
    "with start() as run: run.create('other', Kind.EXAMPLE)",
}
"""Examples without a service, by what they do."""


@pytest.fixture(scope="module")
def quick(new_project: NewProject, external_server: ExternalServer) -> Project:
    """Bake a project with two examples."""
    return make_quick(new_project()).with_shell(**external_server.variables)


@pytest.fixture
def project(quick: Project, gate: Gate) -> Iterator[Project]:
    """Have that project, and take out what the test drops in."""
    before = set((quick / "examples").glob("*.py"))
    yield quick.with_shell(**gate.variables)
    for path in set((quick / "examples").glob("*.py")) - before:
        path.unlink()


def test_e2e_goes_red_for_each_bad_example_and_no_other(project: Project, mark: str) -> None:
    """Scenario A."""
    for name in (*BAD, "new_one"):
        drop_in(project, name)
    tests = ("tests/e2e/test_examples.py", "-k", "not users and not health")
    # Two at a time: one port for all services would go unnoticed otherwise.
    done = project.run("pytest", *tests, "-n", "2", env={MARK: mark}, code=1)
    failed = re.findall(r"^FAILED tests/e2e/\S+\[example_(\w+)\.py\]", done.stdout, re.MULTILINE)
    if sorted(failed) != sorted(BAD):
        done.fail(f"to fail {sorted(BAD)}, not {sorted(failed)}")
    done.expect("1 passed")
    reports = dict(
        re.findall(
            r"^_+ test_example\[example_(\w+)\.py\] _+\n(.*?)(?=^_{3}|^={3})",
            done.stdout,
            re.DOTALL | re.MULTILINE,
        )
    )
    for name, bad in BAD.items():
        for part in bad.reported:
            assert part in reports[name], f"{name}: {part!r} is not in\n{reports[name]}"


SHORT: Final = 15
"""How much an example that fails may have said of it."""
CALLS: Final = """
from testdb.processes.examples import service_client

with service_client(__file__) as client:
    {}
"""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("python", "examples/example_fails.py"), id="alone"),
        pytest.param((*RUN_ALL, "fails"), id="run_all", marks=long),
    ],
)
def test_an_example_that_fails_shows_its_own_line(
    project: Project, command: tuple[str, ...]
) -> None:
    path = "examples/example_fails.py"
    project.write(path, CALLS.format("assert client.get('/users').json(), 'nobody'"))
    asserts = project.run(*command, code=1)
    asserts.expect(
        f"{path}:5: assert client.get('/users').json(), 'nobody'\nAssertionError: nobody"
    )
    asserts.expect_none_of("The service's log")
    project.write(path, CALLS.format("client.get('/health/explodes').raise_for_status()"))
    explodes = project.run(*command, code=1)
    explodes.expect(f"{path}:5: client.get('/health/explodes').raise_for_status()\nhttpx.")
    explodes.expect("health.py", "in explodes", "RuntimeError: no answer today")
    for done in (asserts, explodes):
        done.expect_none_of("site-packages", "contextlib", "testdb/", "<frozen", "INFO:")
        assert len(done.output.splitlines()) <= SHORT, done.output


def test_an_example_without_a_server_says_only_why(project: Project) -> None:
    nowhere = {"TESTDB_SERVER_URL": "postgresql://ada@127.0.0.1:1"}
    done = project.run("python", "examples/example_health.py", env=nowhere, code=1)
    done.expect("cannot be used").expect_none_of("Traceback", ".py")


def test_a_listed_example_may_have_a_syntax_error(project: Project) -> None:
    project.write("examples/example_broken.py", "def (\n")
    project.run("invoke", "examples.list").expect("(example_broken.py, line 1)", "health")


def test_run_all_goes_on_after_failures_sums_up_and_skips_by_name_or_kind(
    project: Project, external_server: ExternalServer
) -> None:
    """Scenario A."""
    for name, text in PLAIN.items():
        project.write(f"examples/example_{name}.py", text)
    done = project.run(*RUN_ALL, "raises", "leaves_one", "well", code=1)
    results = summary(done)
    assert {name for name, line in results.items() if " passed  " in line} == {"well"}
    assert "left testdb_" in results["leaves_one"]
    assert "exit code 1" in results["raises"]
    assert all(re.search(r"\d+\.\d\s*$", line) for line in results.values())
    assert external_server.in_use() == []

    skips = ("--skip", "leaves", "--skip=raises", "--skip=health", "--skip=users")
    skipped = project.run(*RUN_ALL, *skips, "--timeout", "1", code=1)
    assert summary(skipped).keys() == {"well", "sleeps"}
    assert "hung" in summary(skipped)["sleeps"]
    project.run(*RUN_ALL, "nobody", code=2)
    same = project.run("invoke", "examples.run", "--", "raises", "well", "-n2", code=1)
    assert summary(same).keys() == {"raises", "well"}
    for wrong in ("--timeout=nan", "--jobs=x"):
        refused = project.run("invoke", "examples.run", "--", wrong, code=2)
        assert refused.stderr.count("\n") == 1
        refused.expect(wrong.partition("=")[0])


def summary(done: Outcome) -> dict[str, str]:
    """Read the lines of the summary table, by the name of the example."""
    table = done.stdout[done.stdout.index("example  ") :].splitlines()[1:]
    return {line.split()[0]: line for line in table}


def test_a_new_example_is_listed_and_runs_from_anywhere(project: Project) -> None:
    drop_in(project, "new_one")
    project.run("invoke", "examples.list").expect("Says hello")
    path = str(project / "examples/example_new_one.py")
    project.run("python", path, cwd=project.path.parent).expect("hello")


def test_the_journey_is_an_example_in_18_requests(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    """Scenario C."""
    project = new_project().with_shell(**external_server.variables)
    shown = project.run("python", JOURNEY)
    shown.expect_none_of("correct horse")
    steps = re.findall(r"^ ?(\d+)\. ", shown.stdout, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 19)]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param((*RUN_ALL, WAITS, "--timeout", "3600"), id="run_all"),
        pytest.param(("python", "examples/example_waits.py"), id="example alone"),
        pytest.param(("nox", "-s", "e2e"), id="nox", marks=long),
    ],
)
def test_ctrl_c_ends_everything_cleanly(
    project: Project, gate: Gate, mark: str, command: tuple[str, ...]
) -> None:
    drop_in(project, WAITS)
    running = project.start(*command, env={MARK: mark})
    project.wait_for(running, gate.arrived, "to run the example")
    os.killpg(running.pid, signal.SIGINT)
    done = project.finish(running, code=None)
    assert done.code in ({1, 130} if "nox" in command else {130}), done.output
    done.expect("databases created" if "nox" in command else "Interrupted")  # it was not killed
    if command[0] == "python":
        assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize(
    ("command", "victim"),
    [
        pytest.param((*RUN_ALL, WAITS), "run_all.py", id="run_all"),
        pytest.param(
            ("python", "examples/example_waits.py"), "example_waits.py", id="example alone"
        ),
        pytest.param((*RUN_ALL, WAITS), "example_waits.py", id="example of run_all", marks=long),
        pytest.param((*E2E, "-p", "no:randomly"), "pytest", id="pytest", marks=long),
    ],
)
def test_kill_9_leaves_no_process(
    project: Project, gate: Gate, mark: str, command: tuple[str, ...], victim: str
) -> None:
    drop_in(project, WAITS)
    running = project.start(*command, env={MARK: mark})
    project.wait_for(running, gate.arrived, "to run the example")
    assert any("testdb.processes.serve" in line for line in living(mark).values())
    for pid in [pid for pid, line in living(mark).items() if victim in line]:
        kill(pid)
    killed = project.finish(running, code=None)
    if killed.code == 0:
        killed.fail("to fail, as one of its processes was killed")
    wait_until_gone(mark)
    project.run("invoke", "db.sweep")


@long
def test_all_examples_pass_twenty_times_over(
    new_project: NewProject, external_server: ExternalServer, tmp_path: Path, mark: str
) -> None:
    project = new_project(databases="two").with_shell(**external_server.variables)
    for _ in range(20):
        env = {MARK: mark, "TMPDIR": str(tmp_path)}
        done = project.run(*RUN_ALL, "--jobs", "4", env=env)
        done.expect_times(len(list(project.path.glob("examples/example_*"))), " passed in ")
    assert list(tmp_path.iterdir()) == []


@long
def test_two_e2e_runs_at_once_pass(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    project = new_project(databases="two").with_shell(**external_server.variables)
    runs = [project.start(*E2E, "-n", "2") for _ in range(2)]
    for run in runs:
        project.finish(run)
    assert external_server.in_use() == []


@no_workers_by_default
def test_coverage_counts_what_imports_run(new_project: NewProject, workers: str) -> None:
    test = "tests/integration/test_health.py::test_every_logical_database_answers"
    done = new_project().run("pytest", test, "--cov", "-n", workers)
    assert missed(done.stdout, "health") <= 10  # of 38; imports and definitions run half of them
    assert missed(done.stdout, "demo") == 21  # nothing imports it


@long
def test_coverage_counts_what_the_processes_of_e2e_run(new_project: NewProject) -> None:
    project = new_project()
    command = ("nox", "-s", "coverage")
    whole = project.run(*command)
    assert (project / "htmlcov/index.html").exists()
    ours = ("--", "tests/unit")
    without = project.run(*command, *ours, code=1).expect("of 90% not reached")
    # Only an example opens the websocket, in a process of its own, and the service in another.
    assert missed(whole.stdout, "ticks") < missed(without.stdout, "ticks")


def missed(report: str, module: str) -> int:
    """Read how many statements of a module nothing ran; a whole one is not in the report."""
    row = re.search(rf"/{module}\.py +\d+ +(\d+)", report)
    return int(row[1]) if row else 0
