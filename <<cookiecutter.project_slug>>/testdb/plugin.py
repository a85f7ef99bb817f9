"""The pytest side: options, the run and its lease, the report header, the audit."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from testdb import lifecycle, runs
from testdb.errors import LifecycleError
from testdb.link import LOGICAL
from testdb.project import ROOT
from testdb.runs import Run

UNIT_TESTS: Final = ROOT / "tests" / "unit"
"""Tests in here reach no database; a run of nothing else needs no server."""
_RUN: Final = pytest.StashKey[Run]()
_OPEN: Final = pytest.StashKey[ExitStack]()
_LEFT: Final = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("testdb", "disposable databases")
    group.addoption(
        "--cold-template",
        action="store_true",
        help="migrate anew, into a template that goes with the run, whatever is cached",
    )


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """Be part of this pytest invocation, which is alive as long as its lease is held."""
    return run_of(pytestconfig)


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> str:
    """Name this xdist worker; `main` without xdist."""
    return _worker_input(pytestconfig).get("workerid", "main")


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


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is an xdist worker."""
    return bool(_worker_input(config))


def _worker_input(config: pytest.Config) -> Mapping[str, str]:
    """Get what the controller told this worker; nothing without xdist."""
    return getattr(config, "workerinput", {})


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the templates ready before the first test: one process sees to it for all workers."""
    config = session.config
    if is_worker(config) or config.option.collectonly or not _needs_databases(config):
        return
    try:
        run = run_of(config)
        for logical in LOGICAL:
            run.template(logical)
    except LifecycleError as error:
        raise pytest.UsageError(str(error)) from None


def _needs_databases(config: pytest.Config) -> bool:
    paths = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return not all(path.is_relative_to(UNIT_TESTS) for path in paths)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what the run runs on, so that two environments can be compared."""
    run = config.stash.get(_RUN, None)
    return run.describe() if run else []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist exports no type for it
    """Tell a worker which run it belongs to."""
    run = node.config.stash.get(_RUN, None)
    node.workerinput["testdb_run"] = run.id if run else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Drop what is left of the run, and fail it if that should have gone before."""
    config = session.config
    if is_worker(config) or _RUN not in config.stash:
        return
    run = config.stash[_RUN]
    run.renew_lease()
    config.stash[_LEFT] = left = []
    for entry in run.entries():
        lifecycle.drop(run.connection, entry.proven, end_sessions=True)
        if not entry.proven.is_template:
            left.append(entry.name)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the databases that the run left and that had to be dropped at its end."""
    for name in terminalreporter.config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"testdb: {name} was left behind; dropped.", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the lease and of the server."""
    if _OPEN in config.stash:
        config.stash[_OPEN].close()
