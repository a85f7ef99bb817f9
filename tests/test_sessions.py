"""The baked project's sessions and tasks, run for real: green, on databases of their own, and gone.

Everything is tried for one and for two logical databases. What needs nox runs in one project each;
`--dist loadgroup` keeps it in one xdist worker, one after the other.
"""

import json
import os
import re
import time
from pathlib import Path

import pytest
import uv

from conftest import Bake
from harness.environment import Environment, clean_variables, nox, run
from harness.external import ExternalServer, spellings_of_the_password

SESSIONS = ("unit", "integration", "e2e", "examples")
LOGICAL = {"one": {"main"}, "two": {"main", "timeseries"}}
DATABASES = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in LOGICAL]
BOTH = pytest.mark.parametrize("databases", DATABASES, scope="session")
MIGRATED = re.compile(r"template (\w+) migrated in")
CACHED = re.compile(r"template (\w+) cached, no migration ran")
ENDS_SECONDS = 60
"""How long a server may take to end before we say that it does not."""
WAITS = '''
"""Tests that hold what they have committed until somebody has looked at the server."""

from pathlib import Path

import pytest

from my_service.users import User

HERE = Path(__file__).parent


@pytest.mark.isolation("reset")
@pytest.mark.parametrize("twin", [1, 2])
def test_waits(sync_session, worker, twin):
    sync_session.add(User(email="e2e_test@example.com", name="Ada"))
    sync_session.commit()
    (HERE / f"arrived-{worker}").write_text("")  # both are FIFOs: each end waits for the other
    (HERE / f"go-{worker}").read_text()
'''


@pytest.fixture(scope="session")
def project(bake: Bake, environment: Environment, databases: str) -> Path:
    """Have a project whose sessions run in environments of their own, made by nox."""
    assert environment.is_complete()  # it cleans up after this project as well
    return bake(databases=databases)


def listed(
    environment: Environment, project: Path, env: dict[str, str] | None = None
) -> list[dict[str, str]]:
    """List the disposable databases that are no templates."""
    done = environment.run(project, "invoke", "db.list", "--json", env=env)
    return [row for row in json.loads(done.stdout) if row["kind"] != "template"]


@BOTH
@pytest.mark.parametrize("session", SESSIONS)
def test_each_session_alone(environment: Environment, project: Path, session: str) -> None:
    output = nox(project, "-s", session).stdout
    assert "skipped" not in output
    assert ("created: 2/2 workers" in output) == (session in {"integration", "e2e"})
    assert listed(environment, project) == []


@BOTH
def test_plain_nox_runs_them_all(environment: Environment, project: Path) -> None:
    done = nox(project)
    for session in (*SESSIONS, "lint", "typecheck"):
        assert re.search(rf"\* {session}: success", done.stdout + done.stderr), session
    assert listed(environment, project) == []


@BOTH
@pytest.mark.parametrize("workers", [0, 4])
def test_any_number_of_workers(environment: Environment, project: Path, workers: int) -> None:
    done = nox(project, "-s", "unit", "integration", "e2e", "--", "-n", str(workers))
    assert done.stdout.count(f"created: {workers}/{workers} workers") == (3 if workers else 0)
    assert listed(environment, project) == []


@BOTH
def test_an_editor_runs_one_test_in_dotvenv(project: Path) -> None:
    nox(project, "-s", "dev")
    python, variables = project / ".venv" / "bin" / "python", clean_variables()
    collect = ("-m", "pytest", "--collect-only", "--quiet", "tests/integration/test_users.py")
    collected = run(python, *collect, cwd=project, env=variables)
    one = next(line for line in collected.stdout.splitlines() if "::test_" in line)
    done = run(python, "-m", "pytest", one, cwd=project, env=variables)
    assert "1 passed" in done.stdout
    for program in ("invoke", "nox", "ruff"):
        run(project / ".venv" / "bin" / program, "--version", cwd=project, env=variables)


@BOTH
def test_unchanged_migrations_never_run_again(
    bake: Bake, environment: Environment, databases: str
) -> None:
    project, everything = bake(databases=databases), sorted(LOGICAL[databases])
    test = ("pytest", "tests/integration/test_health.py")

    first = environment.run(project, *test).stdout
    assert sorted(MIGRATED.findall(first)) == everything
    second = environment.run(project, *test).stdout
    assert sorted(CACHED.findall(second)) == everything
    assert not MIGRATED.search(second)

    migration = project / "src" / "my_service" / "migrations" / "main" / "0001_users.py"
    migration.write_text(migration.read_text() + "\nREASON_TO_MIGRATE_ANEW = True\n")
    third = environment.run(project, *test).stdout
    assert MIGRATED.findall(third) == ["main"]
    assert sorted(CACHED.findall(third)) == [name for name in everything if name != "main"]

    assert sorted(MIGRATED.findall(environment.run(project, *test, "--cold-template").stdout)) == (
        everything
    )


@BOTH
@pytest.mark.timeout(300)
def test_two_workers_commit_the_same_email_at_the_same_time_and_db_list_shows_both(
    bake: Bake, environment: Environment, databases: str
) -> None:
    project, workers = bake(databases=databases), ("gw0", "gw1")
    tests = project / "tests" / "integration"
    (tests / "test_waits.py").write_text(WAITS)
    for worker in workers:
        os.mkfifo(tests / f"arrived-{worker}")
        os.mkfifo(tests / f"go-{worker}")
    command = ("pytest", "-n", "2", "tests/integration/test_waits.py")
    with environment.start(project, *command) as running:
        for worker in workers:
            (tests / f"arrived-{worker}").read_text()
        during = listed(environment, project)
        for worker in workers:
            (tests / f"go-{worker}").write_text("")
        output, _ = running.communicate()
    assert running.returncode == 0, output
    assert {(row["worker"], row["logical"]) for row in during} == {
        (worker, logical) for worker in workers for logical in LOGICAL[databases]
    }
    assert {(row["kind"], row["alive"], row["kept"]) for row in during} == {("worker", True, False)}
    assert len({row["run"] for row in during}) == 1
    assert listed(environment, project) == []


@BOTH
def test_an_external_server_is_used_and_left_as_it_was(
    environment: Environment, project: Path, external_server: ExternalServer
) -> None:
    url = external_server.variables
    environment.run(project, "pytest", "tests/integration/test_health.py", env=url)
    with_templates = external_server.databases()
    green = nox(project, "-s", *SESSIONS, env=url)
    assert external_server.databases() == with_templates

    # What goes wrong talks the most.
    (project / "tests" / "integration" / "test_fails.py").write_text(
        "async def test_fails(app, session, worker_databases, run):\n    assert 0\n"
    )
    fails = ("pytest", "tests/integration/test_fails.py", "-vv", "--showlocals", "--full-trace")
    failed = environment.run(project, *fails, env=url, check=False)
    (project / "tests" / "integration" / "test_fails.py").unlink()
    assert "1 failed" in failed.stdout
    nobody = {"TESTDB_SERVER_URL": external_server.url.replace("//developer:", "//nobody:")}
    refused = environment.run(project, *fails, env=nobody, check=False)
    assert refused.returncode != 0
    task = environment.run(project, "invoke", "db.list", env=nobody, check=False)
    assert task.returncode != 0
    assert external_server.databases() == with_templates

    for said in (green, failed, refused, task):
        for spelling in spellings_of_the_password():
            assert spelling not in said.stdout + said.stderr, said.args


@BOTH
def test_a_created_database_stays_until_it_is_dropped(
    bake: Bake, environment: Environment, databases: str
) -> None:
    project = bake(databases=databases)
    created = environment.run(project, "invoke", "db.create").stdout
    urls = dict(line.split(": ", 1) for line in created.splitlines() if "postgresql://" in line)
    assert set(urls) == LOGICAL[databases]

    environment.run(project, "invoke", "db.sweep")
    kept = listed(environment, project)
    assert {(row["logical"], row["kind"], row["kept"]) for row in kept} == {
        (logical, "created", True) for logical in LOGICAL[databases]
    }
    psql = environment.postgresql() / "pginstall" / "bin" / "psql"
    for url in urls.values():
        query = ("--tuples-only", "--command=SELECT count(*) FROM alembic_version")
        answer = run(psql, url, *query, cwd=project, env=clean_variables())
        assert answer.stdout.split() == ["1"]

    for row in kept:
        assert state_of_server(environment, project) == "running"
        environment.run(project, "invoke", "db.drop", row["name"])
    deadline = time.monotonic() + ENDS_SECONDS
    while state_of_server(environment, project) != "stopped":
        assert time.monotonic() < deadline, "nobody needs the embedded server, but it still runs"


def state_of_server(environment: Environment, project: Path) -> str:
    """Say whether a project's embedded server is running or stopped, without starting it."""
    status = environment.run(project, "invoke", "server.status").stdout
    return re.findall(r"state: +(running|stopped)", status)[0]


@pytest.mark.parametrize("name", ["postgres", "template1", "precious", """Bobby's "db"; --""", ""])
def test_what_is_not_disposable_is_never_dropped(
    bake: Bake, environment: Environment, external_server: ExternalServer, name: str
) -> None:
    with external_server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS precious")
        connection.execute("CREATE DATABASE precious OWNER developer")
        connection.execute("""DROP DATABASE IF EXISTS "Bobby's ""db""; --" """)
        connection.execute("""CREATE DATABASE "Bobby's ""db""; --" OWNER developer""")
    project, before = bake(), external_server.databases()
    for force in ([], ["--force"]):
        drop = ("invoke", "db.drop", "--name", name, *force)
        done = environment.run(project, *drop, env=external_server.variables, check=False)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert repr(name)[1:-1] in done.stderr
    assert external_server.databases() == before


def interpreters() -> list[str]:
    """Find the Pythons from 3.11 on that this machine has."""
    found = []
    for minor in ("3.11", "3.12", "3.13", "3.14"):
        find = (uv.find_uv_bin(), "python", "find", "--no-python-downloads", minor)
        done = run(*find, cwd=Path("/"), env=clean_variables(), check=False)
        found += [minor] if done.returncode == 0 else []
    return found


@pytest.mark.long
@pytest.mark.parametrize("databases", LOGICAL)
@pytest.mark.parametrize("python", interpreters())
def test_every_python_that_is_found(
    bake: Bake, environment: Environment, databases: str, python: str, tmp_path: Path
) -> None:
    assert environment.is_complete()
    project, own = bake(databases=databases), Environment(tmp_path / "environment")
    own.build(project, python)
    program = own.path / "bin" / "nox"
    tests = ("--session", "unit", "integration", "e2e", "examples", "--", "-n")
    for arguments in ((), (*tests, "0"), (*tests, "4")):
        done = run(program, *arguments, cwd=project, env=clean_variables())
        assert f"Python {python}." in done.stdout
