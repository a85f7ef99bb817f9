"""What a person gets wrong is one message: what, at which line of theirs, and what to do about it.

No report of it holds a line of a library or of testdb, and none says the same twice.
"""

import os
import re
from dataclasses import dataclass
from typing import Final

import pytest

from harness.external import ExternalServer
from harness.outcome import Outcome
from harness.parameters import long, no_workers_by_default, two_workers_by_default
from harness.project import NewProject, Project
from harness.suite import IN_ORDER

REFUSED: Final = "'precious' was refused: it is not disposable"
FOREIGN: Final = (
    "INTERNALERROR",
    "site-packages",
    "contextlib",
    "testdb/postgres",
    "testdb/testing",
    "testdb/runs",
    "above exception",
    "During handling",
)
"""What stands in no report of a mistake."""
URL: Final = "postgresql+psycopg://ada@127.0.0.1/precious"
CONNECTS: Final = f"""
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker

REAL = create_engine("{URL}")
ASYNC = create_async_engine("{URL}")
"""
TEST: Final = "tests/integration/test_written.py"


@dataclass(frozen=True)
class Refused:
    """A test that reaches for a real database, and the line that asks for the connection."""

    source: str
    line: str
    path: str = TEST
    message: str = REFUSED


REFUSALS: Final = {
    "a test": Refused("def test(databases):\n    REAL.connect()\n", "REAL.connect()"),
    "an async test": Refused(
        "async def test(client):\n    async with ASYNC.connect():\n        pass\n",
        "async with ASYNC.connect():",
    ),
    "a route": Refused(
        "async def test(app, client):\n"
        "    app.state.databases.sessions['main'] = async_sessionmaker(ASYNC)\n"
        "    await client.get('/users')\n",
        "users = await session.scalars(select(User).order_by(User.id).limit(limit))",
        path="src/my_service/users.py",
    ),
    "a test that swallows the error": Refused(
        "def test(databases):\n    try:\n        REAL.connect()\n    except Exception:\n"
        "        pass\n",
        "REAL.connect()",
    ),
    "a test that is to fail": Refused(
        "@pytest.mark.xfail\ndef test(databases):\n    REAL.connect()\n", "REAL.connect()"
    ),
    "a fixture": Refused(
        "@pytest.fixture\ndef real():\n    return REAL.connect()\n\n\ndef test(real):\n    pass\n",
        "return REAL.connect()",
    ),
    "the end of a fixture": Refused(
        "@pytest.fixture\ndef real():\n    yield\n    REAL.connect()\n\n\ndef test(real):\n"
        "    pass\n",
        "REAL.connect()",
    ),
    "a module": Refused("REAL.connect()\n\n\ndef test():\n    pass\n", "REAL.connect()"),
    "an e2e test": Refused(
        "def test():\n    REAL.connect()\n", "REAL.connect()", path="tests/e2e/test_written.py"
    ),
    "a unit test": Refused(
        "def test():\n    REAL.connect()\n",
        "REAL.connect()",
        path="tests/unit/test_written.py",
        message="Unit tests reach no database",
    ),
}
BY_DEFAULT: Final = {
    "a test",
    "a route",
    "a test that swallows the error",
    "the end of a fixture",
    "a module",
    "a unit test",
}
STYLES_WITH_LINES: Final = ("auto", "short", "long", "native")
STYLES: Final = (*STYLES_WITH_LINES, "line", "no")
CONFTEST: Final = "tests/conftest.py"
MOST_LINES: Final = 15
"""How much a broken service or adapter may have said of it."""

WITHOUT_URLS: Final = """
import pytest

from testdb.adapter import create_app, settings


@pytest.fixture(scope="session")
async def without_urls():
    return create_app(settings({}).model_copy(update={"database_urls": {}}))


@pytest.mark.parametrize("number", [1, 2])
async def test_without_urls(without_urls, number): ...
"""
SKIPS: Final = """
import unittest

import pytest


@pytest.fixture(scope="session")
def skips():
    raise unittest.SkipTest("not here")


@pytest.mark.parametrize("number", [1, 2])
def test_skipped(skips, number): ...
"""


@pytest.fixture(scope="module")
def shared(new_project: NewProject, external_server: ExternalServer) -> Project:
    """Have a project for all tests here that write nothing but the file TEST."""
    return new_project().with_shell(**external_server.variables)


def expect_one_message(done: Outcome, message: str, *, lines: int) -> None:
    """Fail unless it says this once, in so many lines, and nothing of libraries or of testdb."""
    __tracebackhide__ = True
    done.expect_none_of(*FOREIGN)
    if done.output.count(message) != 1:
        done.fail(f"to say {message!r} once")
    _, _, report = re.split(r"=+ (?:FAILURES|ERRORS) =+|\ntestdb: \d|=+ short", done.output)[:3]
    if len(report.splitlines()) > lines:
        done.fail(f"to report it in {lines} lines")


@pytest.mark.parametrize("style", [STYLES[0], *(pytest.param(s, marks=long) for s in STYLES[1:])])
@pytest.mark.parametrize(
    "place",
    [pytest.param(place, marks=[] if place in BY_DEFAULT else long) for place in REFUSALS],
)
def test_a_refusal_shows_the_line_that_asked(shared: Project, place: str, style: str) -> None:
    refused = REFUSALS[place]
    test = TEST if refused.path.startswith("src") else refused.path
    shared.write(test, CONNECTS + refused.source)
    at = 1 + [*map(str.strip, (shared / refused.path).read_text().splitlines())].index(refused.line)
    done = shared.run("pytest", test, f"--tb={style}", code=None)
    (shared / test).unlink()
    if done.code not in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
        done.fail("to fail")
    done.expect_none_of(*FOREIGN)
    if style in STYLES_WITH_LINES:
        expect_one_message(done, refused.message, lines=20)
        done.find(rf'{refused.path}(:|", line ){at}\b').group()


def test_a_conftest_that_is_refused_a_connection_is_told_in_one_line(project: Project) -> None:
    with (project / CONFTEST).open("a") as conftest:
        conftest.write(f"{CONNECTS}\nREAL.connect()\n")
    done = project.run("pytest", code=pytest.ExitCode.USAGE_ERROR)
    assert len(done.output.strip().splitlines()) == 1, done.output
    done.find(rf"^ERROR: {CONFTEST}:\d+: .*{REFUSED}")


@no_workers_by_default
def test_a_hook_that_fails_is_told_in_one_line(project: Project, workers: str) -> None:
    with (project / CONFTEST).open("a") as conftest:
        conftest.write("\ndef pytest_collection_modifyitems():\n    1 / 0\n")
    done = project.run("pytest", "tests/integration", "-n", workers, code=None)
    done.find(rf"^Exit: {CONFTEST}:\d+: ZeroDivisionError: division by zero$")
    done.expect_none_of(*FOREIGN, "Traceback")
    if done.code == 0:
        done.fail("to fail")


MISSPELT: Final = {
    "misspelt": ('@pytest.mark.isolation("clon")', "@pytest.mark.isolation('clon')"),
    "empty": ("@pytest.mark.isolation", "@pytest.mark.isolation()"),
    "named": ('@pytest.mark.isolation(mode="clone")', "@pytest.mark.isolation(mode='clone')"),
    "twice": (
        '@pytest.mark.isolation("clone")\n@pytest.mark.isolation("reset")',
        "@pytest.mark.isolation('reset') and @pytest.mark.isolation('clone')",
    ),
}
"""Marks that name no way of isolation: as they stand in a test, and as the message has them."""
MARKED: Final = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
{}
def test_marked(databases, number):
    pass
"""


@two_workers_by_default
def test_a_test_that_is_isolated_in_no_way_is_told_once(project: Project, workers: str) -> None:
    for name, (mark, _) in MISSPELT.items():
        project.write(f"tests/integration/test_{name}.py", MARKED.format(mark))
    done = project.run("pytest", "tests/integration", "-n", workers, "-k", "marked", code=None)
    for name, (_, written) in MISSPELT.items():
        told = rf"tests/integration/test_{name}\.py:4: test_marked is marked with "
        done.expect_times(1, f"^{told}{re.escape(written)}. Write one of the two ways: ")
    done.expect_none_of(*FOREIGN, "passed")


@dataclass(frozen=True)
class Broken:
    """A mistake in the service or in the adapter, and how a command tells of it."""

    path: str
    old: str
    new: str
    told: tuple[str, ...]
    command: tuple[str, ...] = ("pytest", "tests/integration")


SETTINGS: Final = "src/my_service/settings.py"
ADAPTER: Final = "testdb/adapter.py"
BROKEN: Final = {
    "a syntax error": Broken(
        SETTINGS, "from typing", "def (\nfrom typing", ("SyntaxError", "(settings.py, line 6)")
    ),
    "an import of nothing": Broken(
        SETTINGS, "from typing", "import nothing\nfrom typing", ("settings.py:6: ModuleNotFound",)
    ),
    "a name in upper case": Broken(
        "src/my_service/databases.py",
        '    "main": MainBase.metadata,\n',
        '    "Main": MainBase.metadata,\n',
        ("The logical database Main needs another name: a word in lower case",),
    ),
    "a syntax error, seen by a task": Broken(
        ADAPTER, "PACKAGE: Final", "def (\nPACKAGE: Final", ("SyntaxError",), ("invoke", "--list")
    ),
    "an attribute that is not there, seen by a task": Broken(
        ADAPTER,
        "await demo.fill(",
        "await demo.fil(",
        (f"{ADAPTER}:", ": await demo.fil(configured)", "AttributeError: "),
        ("invoke", "db.create", "--demo"),
    ),
    "a setting that the example lacks": Broken(
        SETTINGS,
        "    database_urls:",
        "    secret: str\n    database_urls:",
        ("MY_SERVICE_SECRET: Field required.",),
        ("python", "examples/example_health.py"),
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_service_is_told_in_a_few_lines(project: Project, mistake: str) -> None:
    broken = BROKEN[mistake]
    project.replace(broken.path, broken.old, broken.new)
    done = project.run(*broken.command, code=None)
    done.expect(*broken.told).expect_none_of(*FOREIGN)
    if done.code == 0 or len(done.output.splitlines()) > MOST_LINES:
        done.fail(f"to fail, in {MOST_LINES} lines")


FAILS: Final = """
import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError


async def fail(session):
    await session.execute(text("SELECT nothing"))


@pytest.fixture
async def fails(session):
    await fail(session)
    yield


async def test(session):
    await fail(session)


async def test_route(app, client):
    async def route():
        async with app.state.databases.sessions["main"]() as session:
            await fail(session)

    app.add_api_route("/fails", route)
    await client.get("/fails")


async def test_fixture(fails): ...


async def test_group(session):
    async with asyncio.TaskGroup() as group:
        group.create_task(fail(session))


async def test_chain(session):
    try:
        await fail(session)
    except ProgrammingError as error:
        raise ValueError("of the owner's") from error


def test_sync(sync_session):
    sync_session.execute(text("SELECT nothing"))
"""
PLAIN: Final = """
import pytest

EXPECTED = {"a": 1, "b": [1, 2]}


def helper(found):
    __tracebackhide__ = True
    assert found == EXPECTED, "not the same"


def test_assertion():
    assert {"a": 1, "b": [2, 2]} == EXPECTED


def test_helper():
    helper({})


def test_raises():
    with pytest.raises(ValueError, match="abc"):
        int("x")


def test_raises_nothing():
    with pytest.raises(ValueError):
        pass


def test_without_a_fixture(missing): ...


def test_chain():
    try:
        assert EXPECTED == {}
    finally:
        raise ValueError


@pytest.mark.xfail
def test_that_is_to_fail():
    assert not EXPECTED
"""


@pytest.mark.parametrize("style", [STYLES[0], *(pytest.param(s, marks=long) for s in STYLES[1:])])
def test_an_error_is_shown_once_and_in_the_lines_of_the_owner(shared: Project, style: str) -> None:
    shared.write(TEST, FAILS)
    done = shared.run("pytest", TEST, f"--tb={style}", *IN_ORDER, code=1)
    done.expect_none_of("site-packages", "/asyncio/", "testdb/", "During handling")
    done.expect("5 failed, 1 error")
    if style in STYLES_WITH_LINES:
        done.expect_times(6, r'column "nothing" does not exist')
        done.expect_times(1, "The above exception was the direct cause")
        done.expect("await client.get", "of the owner's")
    full = shared.run("pytest", TEST, "--full-trace", "-k", "sync", code=1)
    full.expect("site-packages/sqlalchemy")
    (shared / TEST).unlink()


def test_an_assertion_is_shown_as_pytest_shows_it(shared: Project) -> None:
    path = shared.write("tests/unit/test_written.py", PLAIN)
    ours = shared.run("pytest", path, *IN_ORDER, code=1)
    without = ("-c", os.devnull, "--rootdir=.", "--noconftest", "--import-mode=importlib", "-ra")
    plain = shared.run("pytest", path, *without, *IN_ORDER, code=1)
    reports = [
        re.sub(r" in \d.*|> +available fixtures.*", "", done.stdout.partition("= ERRORS")[2])
        for done in (ours, plain)
    ]
    (shared / path).unlink()
    assert reports[0] == reports[1]


def test_a_fixture_that_fails_for_many_tests_is_shown_once(project: Project) -> None:
    with (project / CONFTEST).open("a") as conftest:
        conftest.write(
            '\n\n@pytest.fixture(scope="session", autouse=True)\n'
            "def seed():\n    raise ValueError('no seed')\n"
        )
    done = project.run("pytest", "tests/integration/test_users.py", *IN_ORDER, code=1)
    done.expect_times(1, r"^>\s+raise ValueError").expect_none_of("INTERNALERROR")
    first = r"As for tests/integration/test_users.py::\w+: "
    done.expect_times(4, rf"^{first}{CONFTEST}:\d+: ValueError: no seed$")


def test_a_setting_that_is_missing_is_told_before_any_test_and_where_a_program_starts(
    project: Project,
) -> None:
    path = project.write("tests/integration/test_written.py", WITHOUT_URLS)
    without = project.run("pytest", path, code=1).expect("SettingsError: The logical database main")
    without.expect_times(1, "^E .* has no URL: set").expect_times(1, "^As for .* has no URL: set")
    (project / path).unlink()
    project.replace(SETTINGS, "    database_urls:", "    secret: str\n    database_urls:")
    told = r"MY_SERVICE_SECRET: Field required\."
    tests = project.run("pytest", "tests/integration/test_users.py", code=4)
    tests.find(rf"^ERROR: {told} .* SETTINGS in testdb/adapter.py\.$")
    tests.expect_none_of(*FOREIGN, "passed")
    for workers in ("0", "2"):
        unit = project.run("pytest", "tests/unit", "-n", workers, code=4)
        unit.expect_times(1, rf"^ERROR: {told} .* SETTINGS in testdb/adapter.py\.$")
        unit.expect_none_of(*FOREIGN, "passed", "failed")
    project.run("invoke", "service.run", "--reload", code=1).expect_times(1, rf"^{told}$")
    project.replace("testdb/adapter.py", '"log_format"', '"secrte": 1, "log_format"')
    tests = project.run("pytest", "tests/integration/test_users.py", code=4)
    tests.find("^ERROR: SETTINGS in testdb/adapter.py has secrte, which is no setting of the serv")


def test_a_python_without_what_is_needed_is_told_in_one_line(project: Project) -> None:
    bare = {"PYTHONPATH": ""}  # in this environment nothing is installed of the project itself
    commands = (
        ("pytest",),
        ("invoke", "--list"),
        ("python", "-S", "-c", "import testdb.postgres"),
        ("python", "-c", "import sys; sys.version_info = (3, 10, 9); import testdb.postgres"),
    )
    for command in commands:
        done = project.run(*command, env=bare, code=1)
        assert len(done.output.splitlines()) == 1, done.output
        done.expect("`nox -s dev`", "`. .venv/bin/activate`")


def test_a_bug_in_a_task_shows_where_it_is(project: Project) -> None:
    project.replace("tasks/db.py", "    from testdb.postgres import catalog\n", "    {}['x']\n")
    own = project.run("invoke", "db.list", code=1)
    own.find(r"^tasks/db.py:\d+: \{\}\['x'\]\nKeyError: 'x'$").group()
    own.expect_none_of("Traceback")
    project.replace(
        "testdb/runs/kept.py", "    if not 0 < days", "    {}['x']\n    if not 0 < days"
    )
    ours = project.run("invoke", "db.create", code=1)
    ours.expect("tasks/db.py", "KeyError: 'x'")


def test_a_fixture_that_skips_all_its_tests_may_do_so(project: Project) -> None:
    project.write("tests/unit/test_skips.py", SKIPS)
    project.run("pytest", "tests/unit/test_skips.py").expect("2 skipped")
