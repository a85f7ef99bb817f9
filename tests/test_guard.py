"""The guard: tests reach no database that is not disposable, and unit tests reach none at all."""

from pathlib import Path

from harness.external import ExternalServer
from harness.parameters import no_workers_by_default
from harness.project import Project
from harness.suite import write

CARELESS = '''
"""A module of the service whose author made an engine for a real database, at import."""

from sqlalchemy import create_engine, text

engine = create_engine("{url}")


def count():
    with engine.connect() as connection:
        return connection.scalar(text("SELECT 1"))
'''

SWALLOWS = """
import my_service.careless


def test_swallows_the_refusal(run):
    try:
        my_service.careless.count()
    except Exception:
        pass
"""

REACHES = """
def test_reaches(databases):
    pass


def test_connects():
    import psycopg
    psycopg.connect("host=127.0.0.1 dbname=x")
"""

GIVEN_UP = """
import asyncio
import signal
import socket

from psycopg import AsyncConnection, Connection

from testdb.postgres.guard import guard

server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
url = f"host=127.0.0.1 port={port} dbname=postgres user=x sslmode=disable gssencmode=disable"


async def give_up_async():
    connecting = asyncio.create_task(AsyncConnection.connect(url))
    peer, _ = await asyncio.to_thread(server.accept)
    await asyncio.to_thread(peer.recv, 1)
    connecting.cancel()
    try:
        await connecting
    except asyncio.CancelledError as error:
        return peer, error


def give_up():
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        Connection.connect(url)
    except KeyboardInterrupt as error:
        return server.accept()[0], error


with guard.maintenance(("127.0.0.1", str(port))):
    for peer, error in (give_up(), asyncio.run(give_up_async())):
        peer.settimeout(5)
        while peer.recv(1024):
            pass
        print("closed, though this is kept:", type(error).__name__)
"""
"""Connect to a server that never answers, be interrupted, and keep the error."""

CHANGES_A_VARIABLE = """
import os
import signal
import threading
import time

import psycopg
from testdb.postgres import environment, guard


def test_connects_while_a_thread_changes_a_variable(databases, monkeypatch):
    connect = guard._connect
    begins, changed = threading.Event(), threading.Event()

    def change():
        begins.wait()
        os.environ["VARIABLE"] = "x"
        changed.set()

    def connect_slowly(*arguments, **options):
        begins.set()
        assert not changed.wait(0.3)
        return (yield from connect(*arguments, **options))

    monkeypatch.setattr(guard, "_connect", connect_slowly)
    thread = threading.Thread(target=change)
    thread.start()
    url = databases.urls["main"].set(drivername="postgresql")
    with psycopg.connect(url.render_as_string()):
        thread.join()
        assert changed.is_set()


def test_forks_while_a_thread_connects():
    connects = threading.Event()

    def connect():
        with environment.unchanged:
            connects.set()
            time.sleep(0.3)

    thread = threading.Thread(target=connect)
    thread.start()
    connects.wait()
    if not os.fork():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest-timeout has a handler
        signal.alarm(5)
        os.environ["VARIABLE"] = "y"
        os._exit(0)
    assert os.wait()[1] == 0
    thread.join()
"""


def test_no_variable_changes_while_libpq_may_read_it(project: Project) -> None:
    """Workers made their clones in a thread, and ended in a segmentation fault once in a while."""
    project.run("pytest", write(project, CHANGES_A_VARIABLE)).expect("2 passed")


def test_a_connection_that_is_given_up_is_closed_at_once(project: Project) -> None:
    done = project.run("python", project.write("given_up.py", GIVEN_UP))
    done.expect_times(2, "closed, though this is kept: (KeyboardInterrupt|CancelledError)$")


@no_workers_by_default
def test_an_engine_for_a_real_database_is_refused_before_the_first_byte(
    project: Project, external_server: ExternalServer, workers: str
) -> None:
    careless = project.write(
        "src/my_service/careless.py", CARELESS.format(url=f"{external_server.url}/precious")
    )
    command = ("pytest", write(project, SWALLOWS), "-n", workers)
    with external_server.database("precious") as connection:
        used = project.run(*command, code=None)
        project.write(careless, (project / careless).read_text() + "\n\ncount()\n")
        at_import = project.run(*command, code=None)
        sessions = "SELECT sessions FROM pg_stat_database WHERE datname = 'precious'"
        assert connection.execute(sessions).fetchall() == [(0,)]
    for done in (used, at_import):
        done.expect("'precious' was refused: it is not disposable")
        if done.code == 0:
            done.fail("to fail")


def test_a_module_that_swallows_a_refusal_is_named(
    project: Project, external_server: ExternalServer
) -> None:
    careless = CARELESS.format(url=f"{external_server.url}/precious")
    swallows = f"{careless}\n\ntry:\n    count()\nexcept Exception:\n    pass\n"
    project.write("tests/integration/test_a_good_one.py", "def test_good(databases): pass\n")
    project.write("tests/integration/test_careless.py", f"{swallows}\n\ndef test(): pass\n")
    done = project.run("pytest", "tests/integration", "-k", "good or careless", code=2)
    done.expect_times(1, "^ERROR tests/integration/test_careless.py")
    done.expect("'precious' was refused").expect_none_of("ERROR tests/integration/test_a_good")


def test_unit_tests_reach_no_database_at_all(project: Project) -> None:
    for folder in ("tests/unit", "tests/testdb/unit"):
        path = project.write(f"{folder}/test_written.py", REACHES)
        for test in ("test_reaches", "test_connects"):
            done = project.run("pytest", f"{path}::{test}", code=1)
            done.expect("Unit tests reach no database: move the test to tests/integration.")


CHANGES_THE_SCHEMA = """
from sqlalchemy import text

def test_drops_a_table(sync_session):
    sync_session.execute(text("DROP TABLE users CASCADE"))
    sync_session.commit()
"""
TAKES_TIME = """
import time

def test_takes_time():
    time.sleep(0.5)
"""


def test_databases_are_made_anew_while_a_unit_test_runs(project: Project) -> None:
    changes = project.write("tests/integration/test_written.py", CHANGES_THE_SCHEMA)
    takes = project.write("tests/unit/test_written.py", TAKES_TIME)
    done = project.run("pytest", "-p", "no:randomly", changes, takes)
    done.expect("2 passed", "1 database cloned anew")


def test_a_database_of_real_life_is_never_the_default(project: Project, tmp_path: Path) -> None:
    """Scenario B: their fixture took whatever URL was configured; here it is not even read."""
    env = {"MY_SERVICE_DATABASE_URLS__MAIN": f"postgresql:///{tmp_path.name}?host={tmp_path}"}
    project.run("pytest", "tests/integration/test_health.py", env=env).expect("2 passed")
