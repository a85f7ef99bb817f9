"""No parameter of a URL, no variable and no program that a test starts leads to a real database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
import uv

from harness.external import HOST, PASSWORD, ROLE, ExternalServer, spellings_of_the_password
from harness.outcome import run
from harness.project import Project
from harness.relay import Relay, Relaying, serving
from harness.suite import write

HEALTH: Final = "tests/integration/test_health.py::test_every_logical_database_answers"
PRECIOUS: Final = "precious"
"""A database of real life: as long as `postgres`, so that a relay can put it in its place."""

STARTS_PROGRAMS: Final = """
import subprocess
import sys

import pytest

from testdb.postgres.embedded.home import installed_program


def migrate():
    psql = [str(installed_program("psql")), "--command=SELECT 1"]
    assert subprocess.run(psql, capture_output=True).returncode != 0
    command = [sys.executable, "-m", "my_service.migrations"]
    return subprocess.run(command, capture_output=True, text=True).returncode


def test_without_databases():
    assert migrate() != 0


def test_under_reset(databases):
    assert migrate() == 0


@pytest.mark.isolation("clone")
def test_under_clone(databases):
    assert migrate() == 0
"""

CONNECTS_WITHOUT_ARGUMENTS: Final = """
import subprocess
import sys

import pytest

from testdb.postgres.embedded.home import installed_program

PROGRAMS = {
    "psql": [str(installed_program("psql")), "--command=SELECT 1"],
    "psycopg2": [sys.executable, "-c", "import psycopg2; psycopg2.connect('').close()"],
    "asyncpg": [
        sys.executable, "-c", "import asyncio, asyncpg; asyncio.run(asyncpg.connect(timeout=5))"
    ],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_finds_no_database(program):
    done = subprocess.run(PROGRAMS[program], capture_output=True, text=True)
    assert done.returncode != 0
    assert "ModuleNotFoundError" not in done.stderr
    assert "testdb-gives-you-no-database-here" in done.stderr or "FileNotFoundError" in done.stderr
"""

IN_PROCESS: Final = """
import pytest

VARIABLES = {variables}


async def test_the_variables_of_a_test_change_nothing(databases, monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    import psycopg
    url = databases.urls["main"]
    given = url.translate_connect_args(database="dbname", username="user") | url.query
    with psycopg.connect(**given) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (url.database,)


def test_a_user_spelled_like_a_database(databases, monkeypatch):
    monkeypatch.setenv("PGDATABASE", "precious")
    import psycopg
    url = databases.urls["main"]
    psycopg.connect(host=url.query["host"], port=url.port, user=url.database)


async def test_what_else_is_refused(databases, run):
    import psycopg
    from testdb.identity.errors import RefusedError
    url = databases.urls["main"]
    given = url.translate_connect_args(database="dbname", username="user") | url.query
    with pytest.raises(RefusedError, match="it asks for replication"):
        psycopg.connect(**given, replication="database")
    with pytest.raises(RefusedError, match="'precious' was refused"):
        run.server.connect(database="precious")
    unknown = "host=nowhere.invalid dbname=precious"
    with pytest.raises(RefusedError, match="'precious' was refused"):
        psycopg.connect(unknown)
    with pytest.raises(RefusedError, match="'precious' was refused"):
        await psycopg.AsyncConnection.connect(unknown)
    print("all were refused")


def test_a_disposable_name_on_another_server(databases):
    import psycopg
    psycopg.connect(
        host="{host}", port={port}, user="x", password="x", dbname=databases.urls["main"].database
    )
"""


@pytest.fixture
def precious(external_server: ExternalServer) -> Iterator[str]:
    """Have a database of real life with a row in it; nobody may have opened it when this ends."""
    with external_server.database(PRECIOUS) as administrator:
        with external_server.connect(PRECIOUS) as connection:
            connection.execute("CREATE TABLE users AS SELECT 'ada' AS name")
        ours = sessions_on(administrator)
        yield f"{external_server.url}/{PRECIOUS}"
        assert sessions_on(administrator) == ours


def sessions_on(administrator: psycopg.Connection) -> int:
    """Count the sessions that the database has ever had."""
    administrator.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.1)")
    query = "SELECT sessions FROM pg_stat_database WHERE datname = %s"
    ((sessions,),) = administrator.execute(query, [PRECIOUS]).fetchall()
    return sessions


REDIRECTIONS: Final = {
    "dbname": "?dbname=precious",
    "port": "?port=1&dbname=precious",
    "user": "?user=administrator",
    "password": "?password=secret-of-another",
    "service": "?service=production",
    "passfile": "?passfile=/dev/null",
    "hostaddr": "?hostaddr=127.0.0.1",
    "options": "?options=-crole%3Dadministrator",
    "target_session_attrs": "?target_session_attrs=any",
    "one host": "?host=127.0.0.1",
}


@pytest.mark.usefixtures("precious")
def test_a_url_that_leads_elsewhere_is_refused(project: Project) -> None:
    """Scenario A."""
    project.run("pytest", HEALTH)  # templates are cached, as they were when rows were lost
    server = project.shell["TESTDB_SERVER_URL"]
    elsewhere = {"TESTDB_SERVER_URL": f"{server}/?dbname={PRECIOUS}"}
    for command, code in ((("pytest", HEALTH), 4), (("invoke", "db.sweep"), 1)):
        done = project.run(*command, env=elsewhere, code=code)
        done.expect("holds dbname in its query").expect_none_of("Traceback", "passed")


USES_SERVERS: Final = """
import os
from testdb.identity.errors import ServerError
from testdb.postgres.server import open_server

for url in {urls}:
    os.environ["TESTDB_SERVER_URL"] = url
    try:
        with open_server():
            print("opened")
    except ServerError as error:
        print(error)
"""


def test_every_redirection_is_refused_by_name(project: Project) -> None:
    urls = [f"{project.shell['TESTDB_SERVER_URL']}/{query}" for query in REDIRECTIONS.values()]
    said = project.run("python", "-c", USES_SERVERS.format(urls=urls))
    said.expect_none_of("opened", "secret-of-another", *spellings_of_the_password())
    for named, line in zip(REDIRECTIONS, said.stdout.splitlines(), strict=True):
        assert named in line, line
        assert "Write it as postgresql://" in line


def test_a_password_that_is_not_escaped_is_told_nobody(project: Project) -> None:
    urls = ["postgresql://u:s3cret@t4il@127.0.0.1:5", "postgresql://u:s3cret/t4il@127.0.0.1:x"]
    urls += ["postgresql://127.0.0.1/u:s3cret", "postgresql://127.0.0.1/?PASSWORD=s3cret"]
    script = USES_SERVERS.format(urls=urls) + "    print(dict(os.environ))\n"
    said = project.run("python", "-c", script)
    said.expect_times(2, "is not the SQLAlchemy URL").expect_none_of("s3cret", "t4il")


def test_a_url_names_one_host(project: Project) -> None:
    urls = ["postgresql://u@a/?host=b", "postgresql://u@/?host=a&host=b", "postgresql://u@/"]
    said = project.run("python", "-c", USES_SERVERS.format(urls=urls))
    said.expect_times(3, "does not name one host")


class Diverter(Relaying):
    """Relays a connection to another database than the one that it asks for."""

    def change(self, request: bytes) -> bytes:
        """Ask for the other one."""
        return request.replace(b"database\0postgres\0", f"database\0{PRECIOUS}\0".encode())


def test_a_server_that_opens_another_database_is_refused(
    project: Project, external_server: ExternalServer
) -> None:
    relay = Relay(external_server.port, Diverter)
    with external_server.database(PRECIOUS), serving(relay) as port:
        url = external_server.url.replace(f":{external_server.port}", f":{port}")
        done = project.run("invoke", "db.sweep", env={"TESTDB_SERVER_URL": url}, code=1)
    done.expect("asked for postgres, it opened precious").expect_none_of("Traceback")


def test_a_reset_deletes_only_in_a_disposable_database(
    project: Project, external_server: ExternalServer
) -> None:
    """Before testdb is imported there is no guard: who gets so far is asked once more."""
    url = f"{external_server.url}/{PRECIOUS}"
    reset = (
        "import psycopg\n"
        f"connection = psycopg.connect('{url}', autocommit=True)\n"
        "from testdb.postgres.reset import Resetter\n"
        "Resetter(connection).reset()\n"
    )
    with external_server.database(PRECIOUS):
        done = project.run("python", "-c", reset, code=1)
    done.expect("NotDisposableError: 'precious' is not a disposable database")


def redirecting(server: ExternalServer) -> dict[str, str]:
    """Make libpq's variables that lead to the database of real life."""
    return {
        "PGHOST": HOST,
        "PGHOSTADDR": HOST,
        "PGPORT": str(server.port),
        "PGDATABASE": PRECIOUS,
        "PGUSER": ROLE,
        "PGPASSWORD": PASSWORD,
        "PGDATESTYLE": "SQL, DMY",
    }


SPOILING: Final = {
    "PGSERVICE": "production",
    "PGOPTIONS": "--nonsense",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCLIENTENCODING": "SQL_ASCII",
}
"""libpq's variables with which no connection succeeds, or none is of use."""


@pytest.mark.usefixtures("precious")
def test_no_variable_of_libpq_counts_for_the_embedded_server(
    embedded_project: Project, external_server: ExternalServer
) -> None:
    before = external_server.databases()
    variables = (
        redirecting(external_server)
        | SPOILING
        | {
            "PGREQUIREAUTH": "scram-sha-256",
            "PGCHANNELBINDING": "require",
            "PGGSSENCMODE": "require",
            "PGSSLMODE": "verify-full",
        }
    )
    command = ("pytest", HEALTH, "-n", "2")
    embedded_project.run(*command, env=variables).expect("1 passed", " 0 left")
    assert external_server.databases() == before


@pytest.mark.usefixtures("precious")
def test_only_what_authenticates_counts_for_an_external_server(
    project: Project, external_server: ExternalServer
) -> None:
    without_password = f"postgresql://{ROLE}@{HOST}:{external_server.port}"
    variables = (
        redirecting(external_server)
        | SPOILING
        | {
            "TESTDB_SERVER_URL": without_password,
            "PGHOSTADDR": "192.0.2.1",  # for documentation: nobody has it (RFC 5737)
            "PGSSLMODE": "disable",
        }
    )
    project.run("pytest", HEALTH, env=variables).expect("1 passed", " 0 left")
    tls = variables | {"PGSSLMODE": "require"}
    project.run("pytest", HEALTH, env=tls, code=4).expect("server does not support SSL")


def test_what_a_role_has_set_does_not_matter(
    project: Project, external_server: ExternalServer
) -> None:
    settings = {"client_encoding": "SQL_ASCII", "datestyle": "SQL, DMY"}
    with external_server.connect() as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER ROLE {ROLE} SET {name} = '{value}'".encode())
        try:
            made = project.run("invoke", "db.create")
            assert len(project.databases()) == 1
            project.run("invoke", "db.drop", made.find("db.drop (.+)`").group(1))
        finally:
            for name in settings:
                connection.execute(f"ALTER ROLE {ROLE} RESET {name}".encode())


@pytest.mark.usefixtures("precious")
def test_what_a_test_sets_leads_nowhere_else(
    embedded_project: Project, external_server: ExternalServer
) -> None:
    variables = redirecting(external_server)
    path = write(
        embedded_project,
        IN_PROCESS.format(variables=variables, host=HOST, port=external_server.port),
    )
    in_order = ("pytest", path, "-p", "no:randomly", "-k")
    done = embedded_project.run(*in_order, "change_nothing or spelled", code=1)
    done.expect("1 failed, 1 passed", "'precious' was refused: it is not disposable", " 0 left")
    done = embedded_project.run(*in_order, "what_else", code=1)
    done.expect("1 failed", "it asks for replication", "all were refused")
    done = embedded_project.run(*in_order, "another_server", code=1)
    done.expect(f"{HOST}:{external_server.port} is not the server that testdb uses", " 0 left")


@pytest.mark.parametrize("kept_in", ["variables and .env", "files of the tests"])
def test_programs_that_a_test_starts_migrate_no_real_database(
    project: Project, external_server: ExternalServer, precious: str, kept_in: str
) -> None:
    """Scenario A. The tests may load a file of settings long after testdb was imported."""
    name = "MY_SERVICE_DATABASE_URLS__MAIN"
    real = precious.replace("postgresql://", "postgresql+psycopg://")
    env, load = {}, ""
    if kept_in == "files of the tests":
        loaded = redirecting(external_server) | SPOILING | {name: real, "PGPASSWORD": "of another"}
        load = f"\nimport os\nos.environ.update({loaded})\n"
        with (project / "tests/conftest.py").open("a") as conftest:
            conftest.write(load)
    else:
        project.replace(
            "src/my_service/settings.py", "frozen=True,", "frozen=True, env_file='.env',"
        )
        project.write(".env", f"{name}={real}\n")
        env = {name: real, name.lower(): real}
    service = "tests/e2e/test_service.py"  # it has databases for as long as the run lasts
    written = write(project, load + STARTS_PROGRAMS)
    done = project.run("pytest", service, written, "-p", "no:randomly", env=env)
    done.expect(" passed", " 0 left").expect_none_of("failed")


@pytest.mark.usefixtures("precious")
def test_programs_without_an_address_find_no_database(
    project: Project, external_server: ExternalServer, tmp_path: Path
) -> None:
    install = (uv.find_uv_bin(), "pip", "install", "--target", str(tmp_path / "drivers"))
    python = ("--python", str(project.environment.python))
    drivers = ("asyncpg", "psycopg2-binary")
    run(*install, *python, *drivers, cwd=tmp_path, env=project.variables())
    variables = redirecting(external_server)
    variables["PYTHONPATH"] = f"{project.variables()['PYTHONPATH']}:{tmp_path / 'drivers'}"
    path = write(project, CONNECTS_WITHOUT_ARGUMENTS)
    project.run("pytest", path, env=variables).expect("3 passed")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("examples/example_migrates.py",), id="alone"),
        pytest.param(("examples/run_all.py", "migrates"), id="run_all", marks=pytest.mark.long),
    ],
)
def test_examples_have_the_settings_of_their_own_databases(
    project: Project, precious: str, command: tuple[str, ...]
) -> None:
    """Scenario A."""
    project.write(
        "examples/example_migrates.py",
        '"""Migrates by a command line."""\n\n'
        "import subprocess, sys\n"
        "from testdb.processes.examples import service_client\n\n"
        'migrate = [sys.executable, "-m", "my_service.migrations"]\n'
        "assert subprocess.run(migrate).returncode != 0\n"
        "with service_client(__file__):\n"
        "    assert subprocess.run(migrate).returncode == 0\n",
    )
    real = {"MY_SERVICE_DATABASE_URLS__MAIN": precious}
    project.run("python", *command, env=real)
