"""The hooks: options, the run and its lease, the report header, the guard, the audit."""

# Hooks that only a run with databases needs import what they use: unit tests start without it.

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from testdb.adapter import LOGICAL, PACKAGE, mismatch_of_settings
from testdb.identity.errors import LifecycleError, ServerError, in_one_line, own_line
from testdb.identity.project import ROOT
from testdb.postgres import Error
from testdb.postgres.guard import guard
from testdb.runs import KEPT_DAYS, environment
from testdb.testing import timeouts
from testdb.testing.fixtures import (
    FAILED,
    RUN,
    isolation,
    join_run,
    leave_run,
    mode_of,
    run,
    worker,
    worker_input,
)
from testdb.testing.isolation import IsolationMode
from testdb.testing.reports import (
    first_to_meet,
    hide_variables_of_libraries,
    in_one_message,
    shown_in_own_code,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from testdb.testing.audit import Audit

__all__ = ["isolation", "run", "worker"]  # pytest finds a plugin's fixtures in its namespace

UNIT_TESTS: Final = (ROOT / "tests" / "unit", ROOT / "tests" / "testdb" / "unit")
"""Tests in here reach no database; a run of nothing else needs no server."""
CONNECTIONS_PER_WORKER: Final = 2 + 5 * len(LOGICAL)
"""Two leases; and for each logical database what resets it and two clones, a test, and a route."""
TEARDOWN_SECONDS: Final = 60.0
"""How long the end of a test, or of the run, may take before its connections are cut."""
CONTROLLER_SECONDS: Final = 0.2
"""How often a worker looks whether its controller lives."""
CHECKED: Final = "testdb/checked"
"""Key in pytest's cache: the code of the service when its migrations were last checked."""
_AUDIT: Final[pytest.StashKey[Audit]] = pytest.StashKey()
_GONE: Final = pytest.StashKey[bool]()
"""Key in Config.stash: the server has gone, and the run was told to stop."""


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
        help=f"when a test fails, keep its databases for {KEPT_DAYS:g} days, to look at them",
    )
    group.addoption(
        "--no-migration-check",
        action="store_true",
        help="do not compare models with migrations, nor try downgrades; without effect in CI",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Refuse to start if a conftest.py was refused a connection at import."""
    try:
        yield
    finally:
        if refusal := guard.take_refusal():
            raise pytest.UsageError(in_one_line(refusal)) from None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and have a worker end with its controller."""
    if worker_input(config):
        threading.Thread(target=_end_with_controller, name="testdb", daemon=True).start()
    config.addinivalue_line(
        "markers", "isolation(mode): how the test is isolated: reset (the default) or clone"
    )


def _end_with_controller() -> None:
    # A controller that was killed cannot tell, and xdist lets the test go on for 15 seconds.
    controller = os.getppid()
    while os.getppid() == controller:
        time.sleep(CONTROLLER_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have migrations checked and templates ready before the first test, once for all workers."""
    config = session.config
    if worker_input(config) or config.option.collectonly:
        return
    if not _needs_databases(config):
        if config.getoption("tx", []):  # this process imports no tests
            _check_settings()
        return
    from testdb.postgres import catalog
    from testdb.runs import migrations
    from testdb.testing.audit import Audit

    cache: pytest.Cache | None = getattr(config, "cache", None)
    code = migrations.fingerprint()
    is_checked = cache is not None and cache.get(CHECKED, None) == code
    try:
        run = join_run(config)
        config.stash[_AUDIT] = Audit(catalog.roles(run.connection))
        needed = _workers(config) * CONNECTIONS_PER_WORKER
        run.server.check_connection_limit(run.connection, needed)
        for logical in LOGICAL:
            run.template(logical)
        if not (is_checked or _puts_off_check(config)):
            from testdb.runs import migration_check

            migration_check.check_models(run)
            if cache is not None:
                cache.set(CHECKED, code)
    except (LifecycleError, Error) as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run unit tests that use settings of the service where one is missing."""
    if f"{PACKAGE.name}.settings" in sys.modules and not worker_input(session.config):
        _check_settings()


def _check_settings() -> None:
    if problem := mismatch_of_settings():
        raise pytest.UsageError(problem)


def _puts_off_check(config: pytest.Config) -> bool:
    return config.option.no_migration_check and not os.environ.get("CI")


def _workers(config: pytest.Config) -> int:
    return len(config.getoption("tx", [])) or 1


def _needs_databases(config: pytest.Config) -> bool:
    paths = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return not all(_is_unit_test(path) for path in paths)


def _is_unit_test(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in UNIT_TESTS)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what the run runs on, so that two environments can be compared."""
    run = config.stash.get(RUN, None)
    if run is None:
        return []
    ready = ", ".join(run.template(logical).describe() for logical in LOGICAL)
    databases = f"{_workers(config)} x {' + '.join(LOGICAL)}"
    check = ""
    if config.option.no_migration_check:
        check = f", migrations are {'not checked' if _puts_off_check(config) else 'checked in CI'}"
    return [
        f"testdb: {run.server.describe(run.connection)}",
        f"testdb: run {run.id}; {ready}",
        f"testdb: databases {databases}, isolation {IsolationMode.RESET} unless marked{check}",
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the run if its server has gone, or a sweep took it for dead; renew a lost lease.

    From here on connections carry the test's name, and a unit test opens none. Settings and libpq's
    variables that somebody has changed since the last test are put back.
    """
    environment.apply()
    if run := item.config.stash.get(RUN, None):
        try:
            run.renew_lease()
        except LifecycleError as error:
            item.config.stash[_GONE] = True
            item.session.shouldstop = str(error)
            raise
    guard.label = item.nodeid
    guard.is_closed = _is_unit_test(item.path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Have an async test that uses databases end the asyncio tasks that it begins."""
    test = getattr(item, "obj", None)
    if "databases" in getattr(item, "fixturenames", ()) and iscoroutinefunction(test):
        from testdb.testing.async_tasks import ending_its_tasks

        item.obj = ending_its_tasks(test, item.nodeid)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was refused a connection, even if it swallows the error; stop the run.

    Remember whether it failed, for --keep-failed-db, and keep passwords out of its report.
    """
    refusal = guard.take_refusal()
    error = refusal or (call.excinfo and call.excinfo.value)
    if isinstance(error, LifecycleError):
        call.excinfo = in_one_message(error, call.excinfo)
    raised = call.excinfo
    with shown_in_own_code(raised, item.config) as call.excinfo:
        report = yield
    call.excinfo = raised
    if report.failed and error and (first := first_to_meet(error, item.nodeid)):
        report.longrepr = f"As for {first}: {in_one_line(error)}"
    if refusal:
        report.outcome = "failed"  # even if it is expected to fail
        item.session.shouldfail = f"{item.nodeid} was refused a connection"
    hide_variables_of_libraries(report.longrepr)
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that was refused a connection at import, even if it swallows the error.

    So does one with a test that is isolated in none of the ways.
    """
    report = yield
    excinfo = report.call.excinfo
    error = guard.take_refusal() or (excinfo.value if excinfo else _mistake_in(report.result))
    if isinstance(error, LifecycleError):
        report.outcome, excinfo = "failed", in_one_message(error, excinfo)
    if report.failed:
        with shown_in_own_code(excinfo, collector.config) as shown:
            report.longrepr = collector.repr_failure(shown) if shown else report.longrepr
    hide_variables_of_libraries(report.longrepr)
    if report.failed and worker_input(collector.config):
        report.longrepr = str(report.longrepr)  # so that xdist sees that all workers say the same
    return report


def _mistake_in(found: Iterable[object]) -> LifecycleError | None:
    try:
        for test in found:
            if isinstance(test, pytest.Item):
                mode_of(test)
    except LifecycleError as error:
        return error
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Say in one line what is wrong in a hook of the owner; keep passwords out of other reports."""
    error = guard.take_refusal() or excinfo.value
    if own_line(error):
        # Of a worker, xdist wants to hear that it was interrupted: then it stops the others.
        is_worker = "PYTEST_XDIST_WORKER" in os.environ
        code = pytest.ExitCode.INTERRUPTED if is_worker else pytest.ExitCode.USAGE_ERROR
        pytest.exit(in_one_line(error), code)
    hide_variables_of_libraries(excrepr)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(
    item: pytest.Item,
    settings: Any,  # noqa: ANN401  pytest-timeout has no types
) -> Generator[None, object, object]:
    """Have the report of a test that hangs show the line where it waits."""
    is_set = yield
    timeouts.show_where_it_hangs(item, settings)
    return is_set


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """End a test in bounded time, even if its server does not answer any more."""
    __tracebackhide__ = True
    guard.is_closed = False
    try:
        with guard.cutting_after(TEARDOWN_SECONDS):
            timeouts.end_what_hangs(item.config, item.config.stash.get(RUN, None))
            yield
    except Exception:
        if _GONE not in item.config.stash:  # else it was said once, and that is enough
            raise


def pytest_fixture_post_finalizer(request: pytest.FixtureRequest) -> None:
    """End what a fixture that timed out was waiting for, so that the next one can end."""
    timeouts.end_what_hangs(request.config, request.config.stash.get(RUN, None))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist exports no type for it
    """Tell a worker which run it belongs to."""
    run = node.config.stash.get(RUN, None)
    node.workerinput["testdb_run"] = run.id if run else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401
    """Hear from a worker what it did; one that crashed says nothing."""
    from testdb.testing.audit import Audit

    audit = node.config.stash.setdefault(_AUDIT, Audit())
    audit.add(*getattr(node, "workeroutput", {}).get("testdb", ([], [], 0, [], [])))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Drop what is left of the run, and fail it if that should have gone before.

    Fixtures that an interrupted run still has end before that, in bounded time too.
    """
    with suppress(ServerError), guard.cutting_after(TEARDOWN_SECONDS):
        yield
    config = session.config
    if RUN not in config.stash:
        return
    from testdb.testing.audit import Audit, account_of

    run = config.stash[RUN]
    if worker_input(config):
        told: dict[str, Any] = getattr(config, "workeroutput", {})
        told["testdb"] = account_of(run)
        return
    audit = config.stash.setdefault(_AUDIT, Audit())
    with suppress(ServerError), guard.cutting_after(TEARDOWN_SECONDS):
        audit.close(run)
    if audit.has_failed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the audit."""
    if audit := terminalreporter.config.stash.get(_AUDIT, None):
        for line, colors in audit.lines():
            terminalreporter.write_line(f"testdb: {line}", **colors)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the lease and of the server."""
    leave_run(config)
