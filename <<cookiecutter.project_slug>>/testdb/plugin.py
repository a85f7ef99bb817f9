"""The pytest side: options, the run and its lease, the report header, the guard, the audit."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from testdb import lifecycle, migration_check, runs
from testdb.errors import LifecycleError
from testdb.guard import guard
from testdb.isolation import Isolation, Way
from testdb.link import LOGICAL
from testdb.project import ROOT
from testdb.runs import Run

UNIT_TESTS: Final = ROOT / "tests" / "unit"
"""Tests in here reach no database; a run of nothing else needs no server."""
CONNECTIONS_PER_WORKER: Final = 2 + 3 * len(LOGICAL)
"""Two leases; and for each logical database what resets it, a test, and a route at once."""
_RUN: Final = pytest.StashKey[Run]()
_OPEN: Final = pytest.StashKey[ExitStack]()
_AUDIT: Final = pytest.StashKey["Audit"]()
_FAILED: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("testdb", "disposable databases")
    group.addoption(
        "--cold-template",
        action="store_true",
        help="migrate anew, into a template that goes with the run, whatever is cached",
    )
    group.addoption(
        "--keep-failed-db",
        action="store_true",
        help=f"keep the databases of tests that fail for {runs.KEPT_DAYS:g} days, to look at them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "isolation(way): how the test is isolated: rollback (the default), reset, clone"
    )


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """Be part of this pytest invocation, which is alive as long as its lease is held."""
    return run_of(pytestconfig)


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> str:
    """Name this xdist worker; `main` without xdist."""
    return _worker_input(pytestconfig).get("workerid", "main")


@pytest.fixture
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Say how the test is isolated: by its marker, else by rollback."""
    marker = request.node.get_closest_marker("isolation")
    try:
        way = Way(marker.args[0]) if marker else Way.ROLLBACK
    except (IndexError, ValueError):
        msg = f"Write @pytest.mark.isolation(way) with one of {', '.join(Way)}, not {marker.args}."
        raise pytest.UsageError(msg) from None
    node = request.node
    keeps = request.config.getoption("keep_failed_db")
    return Isolation(way, node.nodeid, lambda: keeps and node.stash.get(_FAILED, False))


def run_of(config: pytest.Config) -> Run:
    """Get the run that this process belongs to, joining it on first use.

    Raises:
        LifecycleError: there is no server that can be used.
    """
    if _RUN not in config.stash:
        run_id = _worker_input(config).get("testdb_run")
        config.stash[_OPEN] = ExitStack()
        cold = config.getoption("cold_template")
        config.stash[_RUN] = config.stash[_OPEN].enter_context(runs.start(run_id=run_id, cold=cold))
    return config.stash[_RUN]


def _worker_input(config: pytest.Config) -> Mapping[str, str]:
    """Get what the controller told this worker; nothing in the controller, or without xdist."""
    return getattr(config, "workerinput", {})


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have migrations checked and templates ready before the first test, once for all workers."""
    config = session.config
    if _worker_input(config) or config.option.collectonly or not _needs_databases(config):
        return
    try:
        migration_check.check_heads()
        run = run_of(config)
        needed = _workers(config) * CONNECTIONS_PER_WORKER
        run.server.refuse_too_few_connections(run.connection, needed)
        for logical in LOGICAL:
            run.template(logical)
        _check_models_once(config, run)
    except (LifecycleError, psycopg.Error) as error:
        raise pytest.UsageError(str(error)) from None


def _check_models_once(config: pytest.Config, run: Run) -> None:
    """Check again when the code of the service has changed; always where pytest has no cache."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    fingerprint = migration_check.fingerprint()
    if cache is None or cache.get("testdb/checked", None) != fingerprint:
        migration_check.check_models(run)
    if cache is not None:
        cache.set("testdb/checked", fingerprint)


def _workers(config: pytest.Config) -> int:
    return len(config.getoption("tx", [])) or 1


def _needs_databases(config: pytest.Config) -> bool:
    paths = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return not all(path.is_relative_to(UNIT_TESTS) for path in paths)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what the run runs on, so that two environments can be compared."""
    run = config.stash.get(_RUN, None)
    if run is None:
        return []
    sets = f"{_workers(config)} x {' + '.join(LOGICAL)}, isolation {Way.ROLLBACK} unless marked"
    return [*run.describe(), f"testdb: databases {sets}"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the run if its server has gone, or a sweep took it for dead; renew a lost lease.

    From here on connections carry the test's name, and a unit test opens none.
    """
    guard.label = item.nodeid
    guard.is_closed = item.path.is_relative_to(UNIT_TESTS)
    if run := item.config.stash.get(_RUN, None):
        try:
            run.renew_lease()
        except LifecycleError as error:
            item.session.shouldstop = str(error)
            pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed, for --keep-failed-db."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail a test that was refused a connection, even if it swallows the error; stop the run."""
    guard.is_closed = False
    yield
    if guard.refusals:
        item.session.shouldfail = guard.refusals[0]
        pytest.fail(guard.refusals.pop(), pytrace=False)


@dataclass
class Audit:
    """What became of the databases of a run, over all of its processes."""

    created: int = 0
    dropped: int = 0
    renewed: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: str | None = None
    """Why it cannot be known what is left; the next sweep sees to it."""

    def add(self, created: int, dropped: int, renewed: int, kept: list[tuple[str, str]]) -> None:
        """Add what one process did."""
        self.created += created
        self.dropped += dropped
        self.renewed += renewed
        self.kept += kept


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist exports no type for it
    """Tell a worker which run it belongs to."""
    run = node.config.stash.get(_RUN, None)
    node.workerinput["testdb_run"] = run.id if run else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401
    """Hear from a worker what it did; one that crashed says nothing."""
    audit = node.config.stash.setdefault(_AUDIT, Audit())
    audit.add(*getattr(node, "workeroutput", {}).get("testdb", (0, 0, 0, [])))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Drop what is left of the run, and fail it if that should have gone before."""
    config = session.config
    if _RUN not in config.stash:
        return
    run = config.stash[_RUN]
    if _worker_input(config):
        told: dict[str, Any] = getattr(config, "workeroutput", {})
        told["testdb"] = (run.created, run.dropped, run.renewed, run.kept)
        return
    audit = config.stash.setdefault(_AUDIT, Audit())
    try:
        run.renew_lease()
        _drop_leftovers(run, audit)
    except (LifecycleError, psycopg.Error) as error:
        audit.problem = str(error)
    audit.add(run.created, run.dropped, run.renewed, run.kept)
    if (audit.left or audit.problem) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _drop_leftovers(run: Run, audit: Audit) -> None:
    for entry in run.entries():
        if entry.is_kept:
            continue
        lifecycle.drop(run.connection, entry.proven, end_sessions=True)
        if not entry.proven.is_template:  # a cold one goes with the run, and was not counted
            audit.left.append(entry.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the audit."""
    audit = terminalreporter.config.stash.get(_AUDIT, None)
    if audit is None:
        return
    terminalreporter.write_line(
        f"testdb: {audit.created} databases created, {audit.dropped} dropped, "
        f"{len(audit.kept)} kept, {len(audit.left)} left"
    )
    if audit.renewed:
        terminalreporter.write_line(
            f"testdb: leases lost, and taken again before any sweep came: {audit.renewed}",
            yellow=True,
        )
    if audit.problem:
        terminalreporter.write_line(
            f"testdb: what is left goes with `invoke db.sweep`: {audit.problem}", red=True
        )
    for name in audit.left:
        terminalreporter.write_line(f"testdb: left behind, now dropped: {name}", red=True)
    for test, uri in audit.kept:
        database = uri.rpartition("/")[2].partition("?")[0]
        terminalreporter.write_line(
            f"testdb: kept for {runs.KEPT_DAYS:g} days as {test} left it: psql '{uri}' "
            f"(invoke db.drop {database})"
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the lease and of the server."""
    if _OPEN in config.stash:
        config.stash[_OPEN].close()
