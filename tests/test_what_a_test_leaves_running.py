"""What a test leaves running ends with it, and the test fails by name: not the one that follows.

What the lifespan of the app has started belongs to the app, and goes on.
"""

import re
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.parameters import long
from harness.project import NewProject, Project
from harness.suite import IN_ORDER, audit, loop_scopes, write

LIFESPAN: Final = "        app.state.databases = Databases(settings)\n"
"""Where the lifespan of the service begins."""
STARTS: Final = f"""{LIFESPAN}
        import asyncio
        from my_service import background

        app.state.background = asyncio.create_task(background.work(app.state.databases))
"""
ENDS: Final = """
            app.state.background.cancel()
            await asyncio.gather(app.state.background, return_exceptions=True)
"""
TICKS: Final = '''
"""Counts, as long as the app lives."""

import asyncio

seen = []


async def work(_):
    while True:
        seen.append(None)
        await asyncio.sleep(0.01)
'''
POLLS: Final = '''
"""Polls the database without a pause to speak of, and listens, as long as the app lives."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy import text

listening = None
seen = []


@asynccontextmanager
async def listen(url):
    global listening
    given = url.translate_connect_args(database="dbname", username="user") | url.query
    async with await psycopg.AsyncConnection.connect(**given, autocommit=True) as connection:
        await connection.execute("LISTEN news")
        listening = connection
        try:
            yield
        finally:
            listening = None


async def work(databases):
    async with listen(databases.engines["main"].url):
        while True:
            async with databases.sessions["main"]() as session:
                seen.append(await session.scalar(text("SELECT count(*) FROM users")))
            await asyncio.sleep(0.001)
'''

LEAVES: Final = '''
import asyncio
import subprocess
import sys
import threading

import psycopg
import pytest
from sqlalchemy import text

from my_service import background
from testdb.postgres.psql import psql_uri

pytestmark = pytest.mark.isolation("{way}")
LATE = "INSERT INTO users (email, name) VALUES ('late@example.com', 'Late')"
HOLDS = f"""
import sys, time, psycopg

with psycopg.connect(sys.argv[1]) as connection:
    connection.execute({{LATE!r}})
    print(connection.info.backend_pid, flush=True)
    time.sleep(600)
"""
KEPT, PIDS = [], []
may_end = threading.Event()


@pytest.fixture(scope="module", autouse=True)
def end_what_was_started():
    yield
    may_end.set()
    for kept in KEPT:
        if isinstance(kept, subprocess.Popen):
            kept.kill()
            kept.communicate()
        if isinstance(kept, threading.Thread):
            kept.join()


@pytest.fixture
def finds_nothing(sync_session):
    users = text("SELECT count(*) FROM users")
    assert sync_session.scalar(users) == 0
    sync_session.rollback()
    yield
    assert sync_session.scalar(users) == 0
    alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)")
    assert sync_session.scalar(alive, {{"pids": PIDS}}) == 0


async def commit_later(app, seconds):
    await asyncio.sleep(seconds)
    async with app.state.databases.sessions["main"]() as session:
        await session.execute(text(LATE))
        await session.commit()


async def test_begins_with_a_lifespan(app):
    KEPT.append(app.state.background)


async def test_forgets_a_task(app):
    KEPT.append(asyncio.create_task(commit_later(app, 0.8)))


async def test_calls_a_route_that_forgets_a_task(app, client):
    async def forget():
        KEPT.append(asyncio.create_task(commit_later(app, 0.8)))

    app.add_api_route("/forget", forget)
    assert (await client.get("/forget")).status_code == 200


async def test_after_the_tasks_nothing_is_committed(finds_nothing):
    await asyncio.sleep(1)


async def test_has_a_task_that_ends_by_itself(app):
    KEPT.append(asyncio.create_task(commit_later(app, 0.1)))


async def test_after_a_task_that_ended_nothing_is_there(finds_nothing):
    assert KEPT[-1].done()
    assert not KEPT[-1].cancelled()


async def test_leaves_a_transaction_open(app):
    session = app.state.databases.sessions["main"]()
    await session.execute(text(LATE))
    PIDS.append(await session.scalar(text("SELECT pg_backend_pid()")))
    KEPT.append(session)


async def test_after_a_transaction_nothing_is_there(finds_nothing): ...


def test_leaves_a_sync_transaction_open(sync_session):
    connection = sync_session.get_bind().engine.connect()
    connection.execute(text(LATE))
    PIDS.append(connection.scalar(text("SELECT pg_backend_pid()")))
    KEPT.append(connection)


def test_after_a_sync_transaction_nothing_is_there(finds_nothing): ...


def test_starts_a_program(databases):
    command = [sys.executable, "-c", HOLDS, psql_uri(databases.urls["main"])]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    KEPT.append(program)
    PIDS.append(int(program.stdout.readline()))


def test_after_a_program_nothing_is_there(finds_nothing): ...


def test_starts_a_thread(databases):
    def hold():
        connection = psycopg.connect(psql_uri(databases.urls["main"]))
        connection.execute(LATE)
        PIDS.append(connection.info.backend_pid)
        holds.set()
        may_end.wait()
        connection.close()

    holds = threading.Event()
    KEPT.append(threading.Thread(target=hold, daemon=True))
    KEPT[-1].start()
    holds.wait()


def test_after_a_thread_nothing_is_there(finds_nothing): ...


async def test_the_lifespan_goes_on(app):
    assert {of_one_app} is (app.state.background is KEPT[0])
    assert not app.state.background.done()
    before = len(background.seen)
    await asyncio.sleep(0.1)
    assert len(background.seen) > before
'''
CULPRITS: Final = {
    "test_forgets_a_task": "commit_later",
    "test_calls_a_route_that_forgets_a_task": "commit_later",
    "test_leaves_a_transaction_open": "idle in transaction",
    "test_leaves_a_sync_transaction_open": "idle in transaction",
    "test_starts_a_program": "idle in transaction",
    "test_starts_a_thread": "idle in transaction",
}
"""The tests that leave something running, and what their error says of it."""
OTHERS: Final = (
    "test_begins_with_a_lifespan",
    "test_after_the_tasks_nothing_is_committed",
    "test_has_a_task_that_ends_by_itself",
    "test_after_a_task_that_ended_nothing_is_there",
    "test_after_a_transaction_nothing_is_there",
    "test_after_a_sync_transaction_nothing_is_there",
    "test_after_a_program_nothing_is_there",
    "test_after_a_thread_nothing_is_there",
    "test_the_lifespan_goes_on",
)
"""The tests that have done nothing wrong, in between."""

HANGS: Final = """
import asyncio
import threading

import pytest
from sqlalchemy import text

HANG = text("SELECT pg_sleep(1000)")  # the statement
ADA = text("INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')")
BUSY = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query = 'SELECT pg_sleep(1000)'"
)


@pytest.fixture
async def begins_never(session):
    await session.execute(HANG)  # a fixture begins
    yield


@pytest.fixture
async def ends_never(session):
    yield
    await session.execute(HANG)  # a fixture ends


@pytest.fixture
def another_thread():
    may_end = threading.Event()

    def wait():
        may_end.wait()  # another thread

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    may_end.set()
    thread.join()


@pytest.fixture(autouse=True)
def finds_nothing(request):
    if "after" in request.node.name:
        session = request.getfixturevalue("sync_session")
        assert session.scalar(BUSY) == 0
        assert session.scalar(text("SELECT count(*) FROM users")) == 0


async def test_query(session):
    await session.execute(ADA)
    await session.commit()
    await session.execute(HANG)  # a query


async def test_after_a_query(session): ...


async def test_route(app, client):
    async def hang():
        async with app.state.databases.sessions["main"]() as session:
            await session.execute(ADA)
            await session.execute(HANG)  # a route

    app.add_api_route("/hang", hang)
    await client.get("/hang")  # calls a route


async def test_after_a_route(session): ...


async def test_lock(app, session):
    await session.execute(text("LOCK users"))
    async with app.state.databases.sessions["main"]() as other:
        await other.execute(ADA)  # a lock


async def test_after_a_lock(session): ...


async def test_tasks(app):
    async def hang():
        async with app.state.databases.sessions["main"]() as session:
            await session.execute(HANG)

    await asyncio.gather(hang(), hang())  # tasks


async def test_after_tasks(session): ...


async def test_event(session, another_thread):
    await asyncio.Event().wait()  # an event


def test_sync(sync_session):
    sync_session.execute(ADA)
    sync_session.execute(HANG)  # not async


def test_after_sync(session): ...


async def test_begin(begins_never): ...


async def test_after_begin(session): ...


async def test_end(ends_never): ...


async def test_after_end(session): ...
"""
WHERE: Final = {
    "test_query": ["a query"],
    "test_route": ["calls a route", "a route"],
    "test_lock": ["a lock"],
    "test_tasks": ["tasks"],
    "test_event": ["an event"],
    "test_sync": ["not async"],
    "test_begin": ["a fixture begins"],
    "test_end": ["a fixture ends"],
}
"""The lines of the owner, by their comments, that the report of each test that hangs shows."""

POLLED: Final = """
import asyncio

import pytest
from sqlalchemy import text

from my_service import background

ADA = {{"email": "ada@example.com", "name": "Ada"}}
MANY = pytest.mark.parametrize("number", range({each}))


@MANY
async def test_the_poller_sees_what_a_route_commits(app, client, number):
    before = len(background.seen)
    assert (await client.post("/users", json=ADA)).json()["id"] == 1
    async with asyncio.timeout(10):
        while 1 not in background.seen[before:]:
            assert not app.state.background.done()
            await asyncio.sleep(0.001)


@MANY
async def test_what_listens_goes_on(app, session, number):
    async with asyncio.timeout(10):
        while background.listening is None:
            await asyncio.sleep(0.001)
    channels = await background.listening.execute("SELECT pg_listening_channels()")
    assert await channels.fetchall() == [("news",)]
    await session.execute(text("NOTIFY news, 'one'"))
    await session.commit()


@MANY
async def test_requests_run_beside_the_poller(client, number):
    answers = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


@MANY
def test_without_a_loop(sync_session, number):
    sync_session.execute(text("INSERT INTO users (email, name) VALUES ('ada@example.com', 'A')"))
    sync_session.commit()
"""


def with_background_work(project: Project, module: str) -> Project:
    """Have the lifespan of the service start a task, and end it."""
    project.write("src/my_service/background.py", module)
    app = "src/my_service/app.py"
    project.replace(app, LIFESPAN, STARTS)
    project.replace(app, "        finally:\n", f"        finally:{ENDS}")
    return project


@pytest.fixture(
    scope="module",
    params=[
        ("reset", "session"),
        pytest.param(("reset", "function"), marks=long),
        pytest.param(("clone", "session"), marks=long),
        pytest.param(("clone", "function"), marks=long),
    ],
    ids="-".join,
)
def left(
    request: pytest.FixtureRequest, new_project: NewProject, external_server: ExternalServer
) -> Outcome:
    """Run the tests that leave something running, each before one that looks for it."""
    way, loops = request.param
    project = with_background_work(new_project(), TICKS).with_shell(**external_server.variables)
    of_one_app = request.param == ("reset", "session")
    path = write(project, LEAVES.format(way=way, of_one_app=of_one_app))
    done = project.run("pytest", "-v", path, *IN_ORDER, *loop_scopes(loops), code=1)
    assert audit(done)["left"] == 0
    return done


@pytest.mark.parametrize("test", CULPRITS)
def test_who_leaves_something_running_fails_by_name(left: Outcome, test: str) -> None:
    left.find(rf"^(ERROR|FAILED) .*::{test}( |$)")
    left.find(rf"::{test} .*{CULPRITS[test]}")


@pytest.mark.parametrize("test", OTHERS)
def test_who_comes_after_finds_nothing_of_it(left: Outcome, test: str) -> None:
    left.expect_times(1, rf"::{test} PASSED")
    left.expect_times(0, rf"^(ERROR|FAILED) .*::{test}( |$)")


@pytest.mark.parametrize(
    ("workers", "loops", "each"),
    [
        ("0", "session", 10),
        pytest.param("0", "function", 100, marks=long),
        pytest.param("2", "session", 200, marks=long),
        pytest.param("4", "session", 200, marks=long),
    ],
)
def test_what_polls_and_listens_for_the_app_breaks_no_test(
    project: Project, workers: str, loops: str, each: int
) -> None:
    with_background_work(project, POLLS)
    path = write(project, POLLED.format(each=each))
    done = project.run("pytest", path, "-n", workers, *loop_scopes(loops))
    done.expect(f"{4 * each} passed")
    # One for each worker, and one to check the migrations: it made no reset fail either.
    assert audit(done)["created"] == max(int(workers), 1) + 1


@pytest.mark.parametrize("loops", ["session", pytest.param("function", marks=long)])
def test_who_hangs_is_shown_where_and_leaves_nothing_running(
    project: Project, external_server: ExternalServer, loops: str
) -> None:
    project = project.with_shell(**external_server.variables)
    options = ("--timeout", "1", *IN_ORDER, *loop_scopes(loops))
    done = project.run("pytest", write(project, HANGS), *options, code=1)
    done.expect_times(8, r"^E  +Failed: Timeout \(>1.0s\) from pytest-timeout.$")
    done.expect("6 failed, 8 passed, 2 errors")
    done.expect_none_of("site-packages", "selectors.py", "network", "never retrieved", "testdb/")
    done.expect_none_of("Stack of", "psycopg.", "left sessions open", "INTERNALERROR")
    reports = re.split(r"^_+ (?:ERROR at \w+ of )?(test_\w+) _+$", done.output, flags=re.MULTILINE)
    shown = dict(zip(reports[1::2], reports[2::2], strict=True))
    for test, lines in WHERE.items():
        assert re.findall(r"^> .*  # (.*)$", shown[test], re.MULTILINE) == lines, done.output
    done.expect("Meanwhile in thread", "may_end.wait()  # another thread")
    assert audit(done)["left"] == 0
