"""The baked project's sessions and tasks: green, on databases of their own, and gone."""

import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import uv

from harness.environment import clean_variables
from harness.external import PASSWORD, ExternalServer, spellings_of_the_password
from harness.gate import WAIT, Gate
from harness.outcome import Outcome, run
from harness.project import NewProject, Project
from harness.watching import MARK, wait_until, wait_until_gone

SESSIONS: Final = ("unit", "integration", "e2e", "examples")
LOGICAL: Final = {"one": {"main"}, "two": {"main", "timeseries"}}
one_by_default = pytest.mark.parametrize(
    "databases", ["one", pytest.param("two", marks=pytest.mark.long)]
)
two_by_default = pytest.mark.parametrize(
    "databases", ["two", pytest.param("one", marks=pytest.mark.long)]
)
MIGRATED: Final = re.compile(r"template (\w+) migrated in")
CACHED: Final = re.compile(r"template (\w+) cached, no migration ran")
USERS: Final = "tests/integration/test_users.py"
HEALTH: Final = "tests/integration/test_health.py"
HEAD_OF_MAIN: Final = {"one": "0003", "two": "0002"}
TELLS: Final = '''
"""Tells that it runs."""

revision = "9999"
down_revision = {before!r}


def upgrade() -> None:
    with open({log!r}, "a") as log:
        log.write("migrated\\n")


def downgrade() -> None:
    raise NotImplementedError
'''
WAITS: Final = f'''
"""Tests that hold what they have committed until somebody has looked at the server."""

import pytest

from my_service.users import User
{WAIT}

@pytest.mark.isolation("reset")
@pytest.mark.parametrize("twin", [1, 2])
def test_waits(sync_session, worker, twin):
    sync_session.add(User(email="e2e_test@example.com", name="Ada"))
    sync_session.commit()
    wait_at_the_gate()
'''


@contextmanager
def port_8000_taken() -> Iterator[None]:
    """Listen on port 8000, unless somebody else does already."""
    with socket.socket() as listening:
        with suppress(OSError):
            listening.bind(("127.0.0.1", 8000))
            listening.listen()
        yield


def check_nox(project: Project, temporary: Path, *arguments: str) -> Outcome:
    """Check that nox is green, though port 8000 is taken, and that it leaves nothing anywhere."""
    mark = uuid.uuid4().hex
    with port_8000_taken():
        done = project.nox(*arguments, env={MARK: mark, "TMPDIR": str(temporary)})
    done.expect_none_of("skipped")
    for session in [session for session in SESSIONS if session in arguments] or SESSIONS:
        done.find(rf"Session {session}(-[\d.]+)? was successful")
    wait_until_gone(mark)
    wait_until(lambda: not project.postmaster(), "the embedded server outlives its users")
    assert not [path for path in temporary.iterdir() if not path.name.startswith("pytest-of-")]
    return done


@pytest.mark.longest
def test_nox_is_green_and_leaves_nothing(new_project: NewProject, tmp_path: Path) -> None:
    project = new_project(databases="two")
    done = check_nox(project, tmp_path, "--session", "unit", "integration", "e2e")
    done.expect_times(2, "created: 2/2 workers")
    check_nox(project, tmp_path, "--session", "examples", "--", "health")  # e2e ran them all
    assert project.databases() == []


@pytest.mark.long
@pytest.mark.longest
@pytest.mark.parametrize("databases", LOGICAL)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_nox_is_green_with_every_python_and_any_number_of_workers(
    new_project: NewProject, databases: str, python: str, tmp_path: Path
) -> None:
    find = (uv.find_uv_bin(), "python", "find", "--no-python-downloads", python)
    if run(*find, cwd=tmp_path, env=clean_variables(), code=None).code:
        pytest.skip(f"this machine has no Python {python}")
    project = new_project(databases=databases)
    plain = check_nox(project, tmp_path, "--force-python", python)
    for session in ("lint", "typecheck"):
        plain.find(rf"Session {session}-{python} was successful")
    plain.expect_times(3, f"Python {python}.")
    for workers in (0, 4):
        tests = ("--force-python", python, "--session", *SESSIONS, "--", "-n", str(workers))
        done = check_nox(project, tmp_path, *tests)
        done.expect_times(3 if workers else 0, f"created: {workers}/{workers} workers")
    assert project.databases() == []


@pytest.mark.long
@pytest.mark.parametrize("databases", LOGICAL)
def test_each_session_is_green_alone(
    new_project: NewProject, databases: str, tmp_path: Path
) -> None:
    project = new_project(databases=databases)
    for session in SESSIONS:
        check_nox(project, tmp_path, "--session", session)
    assert project.databases() == []


@one_by_default
def test_an_editor_runs_one_test_in_dotvenv(new_project: NewProject, databases: str) -> None:
    project = new_project(databases=databases)
    project.nox("-s", "dev")
    python, variables = project / ".venv/bin/python", {**clean_variables(), **project.shell}
    one = f"{USERS}::test_an_email_is_taken_once"
    run(python, "-m", "pytest", one, cwd=project.path, env=variables).expect("1 passed")
    assert all((project / f".venv/bin/{program}").exists() for program in ("invoke", "nox", "ruff"))


@one_by_default
def test_unchanged_migrations_never_run_again(
    new_project: NewProject, databases: str, tmp_path: Path
) -> None:
    """Scenario D: migrations run once, for all tests, workers and runs."""
    project, everything = new_project(databases=databases), sorted(LOGICAL[databases])
    before, log = HEAD_OF_MAIN[databases], tmp_path / "log"
    migration = "src/my_service/migrations/main/9999_tells.py"
    project.write(migration, TELLS.format(before=before, log=str(log)))

    def templates(*arguments: str) -> tuple[list[str], list[str]]:
        """Run a test; get which templates were migrated, and which were cached."""
        done = project.run("pytest", HEALTH, *arguments).stdout
        return sorted(MIGRATED.findall(done)), sorted(CACHED.findall(done))

    assert templates("-n", "2") == (everything, [])
    assert templates() == ([], everything)
    assert log.read_text().split() == ["migrated"], "not once for two workers and two runs"
    project.write(migration, (project / migration).read_text() + "\nA_REASON = True\n")
    assert templates() == (["main"], [name for name in everything if name != "main"])
    assert templates("--cold-template") == (everything, [])
    assert log.read_text().split() == ["migrated"] * 3


@one_by_default
def test_two_workers_commit_the_same_email_at_the_same_time_and_db_list_shows_both(
    new_project: NewProject, gate: Gate, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**gate.variables)
    path = project.write("tests/integration/test_waits.py", WAITS)
    running = project.start("pytest", "-n", "2", path)
    project.wait_for(running, lambda: len(gate.arrived()) == 2, "to commit in both workers")
    during = project.databases()
    gate.open()
    done = project.finish(running)
    assert {(row["worker"], row["logical"]) for row in during} == {
        (worker, logical) for worker in ("gw0", "gw1") for logical in LOGICAL[databases]
    }
    assert {(row["kind"], row["alive"], row["kept"]) for row in during} == {("worker", True, False)}
    assert len({row["run"] for row in during}) == 1
    check_header(done.stdout, databases)


def check_header(output: str, databases: str) -> None:
    """Check that two environments can be compared by what is printed (scenario C, scenario D)."""
    header = "\n".join(line for line in output.splitlines() if line.startswith("testdb:"))
    sets = f"2 x {' + '.join(sorted(LOGICAL[databases]))}"
    for part in ("PostgreSQL 18", "fsync", "synchronous_commit", "template", sets):
        assert part in header, f"{part!r} is not in the header:\n{header}"


@two_by_default
def test_an_external_server_is_used_and_left_as_it_was(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    before = left_alone(external_server)
    said = [project.run("pytest", USERS, "-n", "2")]
    said += [project.run("python", "examples/run_all.py", "users")]
    assert left_alone(external_server) == before

    # What goes wrong talks the most.
    path = project.write(
        "tests/integration/test_fails.py",
        "async def test_fails(app, session, worker_databases, run):\n    assert 0\n",
    )
    fails = ("pytest", path, "-vv", "--showlocals", "--full-trace")
    said += [project.run(*fails, code=1).expect("1 failed")]
    nobody = {"TESTDB_SERVER_URL": external_server.url.replace("//developer:", "//nobody:")}
    said += [project.run(*fails, env=nobody, code=pytest.ExitCode.USAGE_ERROR)]
    said += [project.run("invoke", "db.list", env=nobody, code=1)]
    assert left_alone(external_server) == before
    for outcome in said:
        outcome.expect_none_of(*spellings_of_the_password())


def left_alone(server: ExternalServer) -> dict[int, str]:
    """List all databases but the templates, by oid: one that was made anew is another one."""
    return {oid: name for oid, name in server.databases().items() if "_template_" not in name}


@pytest.mark.long
@pytest.mark.parametrize("databases", LOGICAL)
def test_all_sessions_on_an_external_server(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    before = left_alone(external_server)
    project.nox("-s", *SESSIONS).expect_none_of(*spellings_of_the_password())
    assert left_alone(external_server) == before


@two_by_default
def test_a_created_database_stays_until_it_is_dropped(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    created = project.run("invoke", "db.create")
    urls = dict(re.findall(r"^(\w+): (postgresql://.*)$", created.stdout, re.MULTILINE))
    assert set(urls) == LOGICAL[databases]
    created.expect_none_of(*spellings_of_the_password())

    project.run("invoke", "db.sweep")
    kept = project.databases()
    assert {(row["logical"], row["kind"], row["kept"]) for row in kept} == {
        (logical, "created", True) for logical in LOGICAL[databases]
    }
    psql = project.environment.postgresql() / "pginstall/bin/psql"
    password = {"PGPASSWORD": PASSWORD}
    for url in urls.values():
        query = ("--tuples-only", "--command=SELECT count(*) FROM alembic_version")
        answer = run(psql, url, *query, cwd=project.path, env={**clean_variables(), **password})
        assert answer.stdout.split() == ["1"]
    first, *others = [row["name"] for row in kept]
    project.run("invoke", "db.drop", first)
    assert external_server.in_use() == others


def test_what_is_not_disposable_is_never_dropped(
    project: Project, external_server: ExternalServer
) -> None:
    name = """Bobby's "db"; --"""
    with external_server.database(name):
        before = external_server.databases()
        done = project.run("invoke", "db.drop", "--name", name, "--force", code=1)
        assert external_server.databases() == before
    done.expect_none_of("Traceback").expect(repr(name)[1:-1], "is not a disposable database")
