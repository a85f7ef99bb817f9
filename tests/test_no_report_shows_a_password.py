"""No report shows a password, in whatever style: not the server's, nor a real database's."""

from typing import Final

import pytest

from harness.external import PASSWORD, ExternalServer, spellings_of_the_password
from harness.project import Project

FOREIGN: Final = "hunter2-of-production"

FAILS: Final = """
import os
import subprocess
import sys

import psycopg
import pytest
from sqlalchemy import create_engine, text

REAL = create_engine("postgresql+psycopg://ada:" + "-".join(("hunter2", "of", "production"))
                     + "@{host}/precious")


async def test_a_database_that_has_gone(run, databases, client):
    name = databases.urls["main"].database
    run.connection.execute(f'ALTER DATABASE "{{name}}" ALLOW_CONNECTIONS false'.encode())
    run.connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE datname = %s", [name])
    try:
        create_engine(databases.urls["main"]).connect()
    finally:
        run.connection.execute(f'ALTER DATABASE "{{name}}" ALLOW_CONNECTIONS true'.encode())


def test_a_program_that_fails(databases):
    variables = dict(os.environ)
    subprocess.run([sys.executable, "-c", "1 / 0"], env=variables, check=True)


def test_is_refused(databases):  # the last: it stops the run
    REAL.connect()
"""
FAILS_AT_IMPORT: Final = FAILS + "\nREAL.connect()\n"
FAILS_IN_A_HOOK: Final = """
def pytest_collection_modifyitems():
    from sqlalchemy import create_engine

    url = "postgresql+psycopg://ada:{}@127.0.0.1:1/precious"
    create_engine(url.format("-".join(("hunter2", "of", "production")))).connect()
"""

STYLES: Final = ("long", "auto", "short", "line", "native", "no")


@pytest.mark.parametrize(
    "style", [STYLES[0], *(pytest.param(style, marks=pytest.mark.long) for style in STYLES[1:])]
)
def test_tests_that_fail_to_connect(
    project: Project, external_server: ExternalServer, style: str
) -> None:
    host = f"127.0.0.1:{external_server.port}"
    project.write("tests/integration/test_fails.py", FAILS.format(host=host))
    project.write(
        "tests/integration/test_import.py", FAILS_AT_IMPORT.format(host="nowhere.invalid")
    )
    done = project.run(
        *("pytest", "tests/integration/test_fails.py", "-vv", f"--tb={style}", "--showlocals"),
        *("--junitxml=report.xml", "--log-level=DEBUG", "--maxfail=9", "-p", "no:randomly"),
        env={"PGPASSWORD": PASSWORD},
        code=1,
    )
    if style != "no":
        done.expect("'precious' was refused", "is not currently accepting connections")
    at_import = project.run(
        *("pytest", "tests/integration/test_import.py", f"--tb={style}", "--showlocals"),
        *("--full-trace", "--log-level=DEBUG"),
        code=None,
    )
    project.write("conftest.py", FAILS_IN_A_HOOK)  # in tests/ it would be told in one line
    in_a_hook = project.run(
        *("pytest", "tests/integration/test_fails.py", f"--tb={style}", "--showlocals"),
        *("--full-trace", "-vv"),
        code=pytest.ExitCode.INTERNAL_ERROR,
    )
    secrets = (FOREIGN, *spellings_of_the_password())
    for said in (done, at_import, in_a_hook):
        said.expect_none_of(*secrets)
    report = (project / "report.xml").read_text()
    assert not [secret for secret in secrets if secret in report]
