"""Examples and the end-to-end tests that run them: what goes wrong shows, what remains goes.

The project has two examples of its own, to be quick, and those that a test drops in.
"""

import os
import re
import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chaos.process import MARK, kill, living, wait_until
from conftest import Bake
from harness.environment import Environment
from harness.examples import BAD, WAITS, drop_in, left, lose_demo_examples

RUN_ALL = ("python", "examples/run_all.py")
E2E = ("pytest", "tests/e2e")


@pytest.fixture(scope="module")
def quick(bake: Bake) -> Path:
    """Bake a project with two examples."""
    return lose_demo_examples(bake())


@pytest.fixture
def project(quick: Path) -> Iterator[Path]:
    """Have that project, and take out what the test drops in."""
    before = set((quick / "examples").iterdir())
    yield quick
    for path in {*(quick / "examples").iterdir(), quick / "arrived"} - before:
        if not path.is_dir():
            path.unlink(missing_ok=True)


@contextmanager
def port_8000_taken() -> Iterator[None]:
    """Listen on port 8000, unless somebody else does already."""
    with socket.socket() as listening:
        with suppress(OSError):
            listening.bind(("127.0.0.1", 8000))
            listening.listen()
        yield


@pytest.fixture
def mark() -> str:
    """Draw what every process of a run inherits."""
    return uuid.uuid4().hex


def repeat(environment: Environment, project: Path, tmp_path: Path, mark: str, times: int) -> None:
    """Run all examples side by side again and again; no database, process or file may be left."""
    variables = {MARK: mark, "TMPDIR": str(tmp_path)}
    with port_8000_taken():
        for _ in range(times):
            done = environment.run(project, *RUN_ALL, "--jobs", "4", env=variables)
            assert done.stdout.count(" passed in ") == len(list(project.glob("examples/example_*")))
    assert left(environment, project) == []
    wait_until(lambda: not living(mark), f"these live on: {living(mark)}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("databases", ["one", "two"])
def test_all_examples_pass_again_and_again_and_leave_nothing(
    bake: Bake, environment: Environment, databases: str, tmp_path: Path, mark: str
) -> None:
    repeat(environment, bake(databases=databases), tmp_path, mark, 2)


@pytest.mark.long
def test_all_examples_pass_twenty_times_over(
    bake: Bake, environment: Environment, tmp_path: Path, mark: str
) -> None:
    repeat(environment, bake(databases="two"), tmp_path, mark, 20)


def test_e2e_goes_red_for_each_bad_example_and_no_other(
    project: Path, environment: Environment, mark: str
) -> None:
    for name in BAD:
        drop_in(project, name)
    done = environment.run(project, *E2E, "-n", "2", env={MARK: mark}, check=False)
    failed = re.findall(r"^FAILED tests/e2e/\S+\[example_(\w+)\.py\]", done.stdout, re.MULTILINE)
    assert sorted(failed) == sorted(BAD), done.stdout
    assert done.stdout.count("FAILED ") == len(BAD)
    reports = dict(re.findall(r"^_+ test_example\[example_(\w+)\.py\] _+\n(.*?)(?=^_{3}|^={3})",
                              done.stdout, re.DOTALL | re.MULTILINE))  # fmt: skip
    for name, bad in BAD.items():
        for part in bad.reported:
            assert part in reports[name], f"{name}: {part!r} is not in\n{reports[name]}"
    assert left(environment, project) == []
    wait_until(lambda: not living(mark), f"these live on: {living(mark)}")


def test_run_all_goes_on_after_failures_sums_up_and_skips_by_name_or_kind(
    project: Path, environment: Environment
) -> None:
    for name in ("fails", "hangs", "leaves_one"):
        drop_in(project, name)
    done = environment.run(project, *RUN_ALL, "--timeout", "15", check=False)
    assert done.returncode == 1
    summary = done.stdout[done.stdout.index("example  ") :].splitlines()[1:]
    results = {line.split()[0]: line for line in summary}
    assert {name for name, line in results.items() if " passed  " in line} == {"health", "users"}
    assert "left testdb_" in results["leaves_one"]
    assert "hung" in results["hangs"]
    assert all(re.search(r"\d+\.\d\s*$", line) for line in results.values())
    assert left(environment, project) == []

    green = environment.run(project, *RUN_ALL, "--skip", "leaves", "--skip=hangs", "--skip=fails")
    assert green.stdout.count(" passed in ") == 2
    assert environment.run(project, *RUN_ALL, "nobody", check=False).returncode == 2
    task = environment.run(project, "invoke", "examples.run", "--name=one", check=False)
    assert task.returncode == 1


def test_a_new_example_is_found_everywhere(project: Path, environment: Environment) -> None:
    drop_in(project, "new_one")
    assert "Says hello" in environment.run(project, "invoke", "examples.list").stdout
    assert "new_one passed" in environment.run(project, *RUN_ALL, "new_one").stdout
    e2e = environment.run(project, *E2E, "-k", "example_new_one.py").stdout
    assert "1 passed" in e2e
    elsewhere = environment.run(project.parent, "python", f"{project}/examples/example_new_one.py",
                                env=environment.variables(project))  # fmt: skip
    assert "hello" in elsewhere.stdout


@pytest.mark.parametrize(
    "command", [(*RUN_ALL, "--timeout", "3600"), ("nox", "-s", "e2e")], ids=["run_all", "nox"]
)
def test_ctrl_c_ends_everything_cleanly(
    project: Path, environment: Environment, mark: str, command: tuple[str, ...]
) -> None:
    arrived = drop_in(project, WAITS)
    with environment.start(project, *command, env={MARK: mark}) as running:
        arrived.read_text()  # a FIFO: now it is in the middle
        os.killpg(running.pid, signal.SIGINT)
        output, _ = running.communicate(timeout=60)
    assert running.returncode in ({1, 130} if "nox" in command else {130}), output
    assert ("databases created" if "nox" in command else "Interrupted") in output  # not killed
    assert left(environment, project) == [], output
    wait_until(lambda: not living(mark), f"these live on: {living(mark)}")


@pytest.mark.parametrize(
    ("command", "victim"),
    [
        (RUN_ALL, "run_all.py"),
        (RUN_ALL, "example_waits.py"),
        ((*E2E, "-p", "no:randomly"), "pytest"),
        (("python", "examples/example_waits.py"), "example_waits.py"),
    ],
    ids=["run_all", "its example", "pytest", "example alone"],
)
def test_kill_9_leaves_no_process(
    project: Path, environment: Environment, mark: str, command: tuple[str, ...], victim: str
) -> None:
    arrived = drop_in(project, WAITS)
    with environment.start(project, *command, env={MARK: mark}) as running:
        arrived.read_text()
        assert any("testdb.serve" in line for line in living(mark).values())
        for pid in [pid for pid, line in living(mark).items() if victim in line]:
            kill(pid)
        running.communicate(timeout=60)
    assert running.returncode != 0
    wait_until(lambda: not living(mark), f"these live on: {living(mark)}")
    environment.run(project, "invoke", "db.sweep")
    assert left(environment, project) == []


def test_two_e2e_runs_at_once_pass(bake: Bake, environment: Environment) -> None:
    project = bake(databases="two")
    with (
        environment.start(project, *E2E, "-n", "2") as one,
        environment.start(project, *E2E, "-n", "2") as other,
    ):
        outputs = [run.communicate()[0] for run in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), "\n".join(outputs)
    assert left(environment, project) == []


def test_a_service_by_hand_ends_by_ctrl_c(
    project: Path, environment: Environment, mark: str
) -> None:
    command = ("invoke", "service.run", "--demo")
    with environment.start(project, *command, env={MARK: mark}) as running:
        assert running.stdout
        url = next(
            match for line in running.stdout if (match := re.search(r"http://\S+(?=/docs)", line))
        )
        fetch = "import httpx, sys; print(httpx.get(sys.argv[1], trust_env=False).text)"
        users = environment.run(project, "python", "-c", fetch, f"{url[0]}/users").stdout
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert "ada@example.com" in users
    assert running.returncode == 0
    assert left(environment, project) == []
    wait_until(lambda: not living(mark), f"these live on: {living(mark)}")


@pytest.mark.long
def test_coverage_counts_what_the_processes_of_e2e_run(
    bake: Bake, environment: Environment
) -> None:
    project = bake()
    command = ("nox", "-s", "coverage")
    whole = environment.run(project, *command).stdout
    assert (project / "htmlcov" / "index.html").exists()
    ours = ("--", "tests/unit", "tests/integration")
    without = environment.run(project, *command, *ours, check=False).stdout  # too little, it says
    # Only an example opens the websocket, in a process of its own, and the service in another.
    assert missed(whole, "ticks") < missed(without, "ticks"), whole + without


def missed(report: str, module: str) -> int:
    """Read how many statements of a module nothing ran; a whole one is not in the report."""
    row = re.search(rf"/{module}\.py +\d+ +(\d+)", report)
    return int(row[1]) if row else 0
